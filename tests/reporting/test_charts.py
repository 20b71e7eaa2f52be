"""Charts say what the numbers say."""

import re
from dataclasses import replace

import numpy as np
import pytest

from tests.reporting.samples import result, traces
from tssl.reporting import charts
from tssl.reporting.axes import linear_axis
from tssl.reporting.charts import Point, Series
from tssl.reporting.diagram import diagram, layer_table


def test_rasters_draw_every_spike_of_small_layers():
    network, _ = result()
    drawn = [charts.raster(trace) for trace in traces(network)]
    assert drawn[2].shapes[0].attributes["d"] == "".join(f"M{n} {n}h.9" for n in range(10))
    assert "60 evenly spaced neurons drawn" in drawn[0].note
    assert drawn[2].counts == [1] * 10 + [0] * 10
    assert [drawn[0].x.title, drawn[0].y.title] == ["time step", "neuron"]


def test_neurons_lie_where_their_axis_says():
    """Of 10 neurons, the box of neuron n is centred where the axis has n, and step t likewise."""
    network, _ = result()
    chart = charts.raster(traces(network)[2])
    numbers = re.findall(r"-?[\d.]+", chart.shapes[0].attributes["transform"])
    x, y, wide, tall = map(float, numbers)
    left, top, right, bottom = chart.box
    assert x == pytest.approx(left)
    assert x + 20 * wide == pytest.approx(right, abs=0.01)
    assert y + 0.5 * -tall == pytest.approx(bottom, abs=0.01)  # neuron 0 is drawn as a row of 0
    assert y + 9.5 * tall == pytest.approx(top, abs=0.01)
    first = float(chart.step[0])
    assert first == pytest.approx(x + 0.5 * wide, abs=0.01)


def test_states_have_their_threshold():
    network, _ = result()
    current, voltage = charts.state_charts(traces(network)[0])
    assert [each.title for each in (current, voltage)] == [
        "dense1: synaptic current u",
        "dense1: membrane potential v",
    ]
    assert [name for _, name in current.legend] == [f"neuron {n}" for n in range(4)]
    assert voltage.legend[-1] == ("threshold", "threshold, 99")
    assert voltage.shapes[0].attributes["data-y"] == ",".join(["-4096"] + ["-0"] * 19) or (
        voltage.shapes[0].attributes["data-y"] == ",".join(["-4096"] + ["0"] * 19)
    )
    without = charts.state_charts(replace(traces(network)[0], threshold=None, current=None))
    assert [len(each.legend) for each in without] == [4]


def test_a_neuron_that_always_fires_is_drawn_last():
    spikes = np.zeros((4, 6), bool)
    spikes[:, 0] = True
    spikes[0, 1:] = True
    trace = charts.LayerTrace(layer="a", spikes=spikes, voltage=np.ones((4, 6), int))
    (chart,) = charts.state_charts(trace)
    assert [name for _, name in chart.legend] == [f"neuron {n}" for n in (1, 2, 3, 4)]


def test_a_line_is_where_its_axes_say():
    axis = linear_axis("value", 0, 10)
    chart = charts.lines("title", axis, axis, [Series("a", [0, 10], [0, 10])])
    left, top, right, bottom = chart.box
    assert chart.shapes[0].attributes["d"] == f"M{left} {bottom}L{right} {top}"
    assert chart.shapes[0].attributes["data-x"] == "0,10"


def test_histograms_leave_out_zeros_that_hide_the_rest():
    sparse = charts.histogram("a", "w", np.array([0] * 90 + [5] * 9 + [-3]), "weight")
    assert "90.0% of them zero (not drawn)" in sparse.note
    assert [bar.title for bar in sparse.shapes] == ["-3: 1", "5: 9"]
    constant = charts.histogram("a", "w", np.zeros(4, int), "weight")
    assert [bar.title for bar in constant.shapes] == ["0: 4"]


def test_the_front_by_hand():
    def point(energy, accuracy):
        return Point("net", f"chip {energy}", energy, energy, energy, accuracy)

    points = [point(3e-6, 0.9), point(1e-6, 0.8), point(2e-6, 0.7), point(3e-6, 0.85)]
    assert charts.front(points) == [points[1], points[0]]
    chart = charts.pareto("mnist", points)
    assert [shape.title for shape in chart.shapes if shape.tag == "circle"] == [
        "net, chip 3e-06: 3.00 µJ, 90.00%",
        "net, chip 1e-06: 1.00 µJ, 80.00%",
        "net, chip 2e-06: 2.00 µJ, 70.00%",
        "net, chip 3e-06: 3.00 µJ, 85.00%",
    ]
    assert [shape.title for shape in chart.shapes if shape.tag == "text"] == ["2", "1"]


def test_the_graph_has_every_layer_and_connection():
    network, _ = result()
    graph = diagram(network)
    assert [(box.name, box.text) for box in graph.boxes] == [
        ("input", "784"),
        ("dense1", "dense, 128"),
        ("dense2", "dense, 64"),
        ("dense3", "dense, 10"),
    ]
    assert len(graph.arrows) == 3
    assert graph.height > graph.boxes[-1].y + graph.tall


def test_layers_have_time_constants_and_bits():
    network, _ = result()
    table = layer_table(network)
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.rows]
    for layer, row in zip(network.layers, rows, strict=True):
        assert row["sources"] == layer.source
        assert float(row["τ_m [steps]"]) == pytest.approx(4096 / layer.cuba.voltage_decay, rel=5e-3)
        assert int(row["weight bits"]) == layer.weight_bits
