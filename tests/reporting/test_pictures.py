"""Shapes that say what the numbers say."""

import numpy as np

from tests.reporting.samples import costs, result, traces
from tssl.reporting import pictures


def test_a_core_map_has_a_square_per_core_in_its_layers_colour():
    report = costs()
    (chip,) = pictures.core_maps(report)
    assert len({(square.x, square.y) for square in chip.squares}) == 128
    busy = [square for square in chip.squares if square.hue is not None]
    assert len(busy) == report.cores == 5
    hues = pictures.layer_hues(report)
    assert [square.hue for square in busy] == [
        hues[name] for name in ("dense1",) * 3 + ("dense2", "dense3")
    ]
    assert max(square.strength for square in chip.squares) == 1


def test_without_a_mesh_cores_are_in_a_square():
    (chip,) = pictures.core_maps(costs(profile_name="spinnaker2"))
    assert len({(square.x, square.y) for square in chip.squares}) == len(chip.squares)


def test_rasters_draw_every_spike_of_small_layers():
    network, _ = result()
    drawn = pictures.rasters(traces(network))
    assert [raster.rows for raster in drawn] == [60, 60, 10]
    assert drawn[2].path.count("M") == 10
    assert "60 neurons drawn" in drawn[0].note


def test_histograms_leave_out_zeros_that_hide_the_rest():
    sparse = pictures.histogram("w", np.array([0] * 90 + [5] * 9 + [-3]))
    assert (sparse.low, sparse.high) == ("-3", "5")
    assert "90.0% zero (not drawn)" in sparse.note
    assert sparse.path.count("M") == 2
    constant = pictures.histogram("w", np.zeros(4, int))
    assert constant.path.count("M") == 1


def test_confusion_by_hand():
    cells = pictures.confusion(np.array([1, 1, 0, 2]), np.array([1, 0, 0, 2]))
    found = {(cell.row, cell.column): (cell.samples, cell.strength) for cell in cells}
    assert found == {(0, 0): (1, 0.5), (0, 1): (1, 0.5), (1, 1): (1, 1.0), (2, 2): (1, 1.0)}
    assert pictures.confusion(np.array([1]), None) == []
