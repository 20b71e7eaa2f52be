"""Quantities carry kinds and bands; sums keep both."""

import json

import pytest

from tssl.costs import (
    KINDS,
    Assumption,
    CostReport,
    EnergyTerm,
    LayerMapping,
    Quantity,
    weakest,
)


def quantity(value, kind="measured", unit="J", spread=0.5):
    return Quantity(
        value=value,
        unit=unit,
        kind=kind,
        source="a paper",
        low=value * (1 - spread),
        high=value * (1 + spread),
    )


def term(name, layer, part, joules, kind="measured"):
    return EnergyTerm(
        name=name,
        layer=layer,
        part=part,
        operations=10.0,
        price=quantity(joules / 10, kind),
        joules=joules,
        low=joules / 2,
        high=joules * 2,
    )


def report():
    terms = (
        term("spikes", "a", "dynamic", 1.0, "simulated"),
        term("spikes", "b", "dynamic", 2.0, "measured"),
        term("updates", "a", "dynamic", 4.0, "measured"),
        term("static power", None, "static", 8.0, "estimate"),
    )
    return CostReport(
        profile="chip",
        title="A Chip",
        network="net",
        samples=3,
        time_steps=5,
        mapping=(
            LayerMapping(layer="a", neurons=5, cores=2, bound_by="neurons", utilisation=0.5),
            LayerMapping(layer="b", neurons=6, cores=1, bound_by="input axons", utilisation=1.0),
        ),
        energy=terms,
        latency=quantity(1.0, unit="s"),
        step_time=quantity(0.2, unit="s"),
        throughput=quantity(1.0, unit="1/s"),
        static_in_stream=quantity(7.0),
        operating_point="here",
        assumptions=(Assumption(statement="it is so", kind="estimate", source="us"),),
    )


def values(table):
    return {name: sum_.value for name, sum_ in table.items()}


def test_sums_by_part_name_and_layer():
    costs = report()
    assert values(costs.by_part) == {"dynamic": 7.0, "static": 8.0}
    assert values(costs.by_name) == {"spikes": 3.0, "updates": 4.0, "static power": 8.0}
    assert values(costs.by_layer) == {"a": 5.0, "b": 2.0}
    assert (costs.total.low, costs.total.value, costs.total.high) == (7.5, 15.0, 30.0)
    assert costs.cores == 3


def test_a_sum_is_as_weak_as_its_weakest_price():
    kinds = {part: sum_.kind for part, sum_ in report().by_part.items()}
    assert kinds == {"dynamic": "simulated", "static": "estimate"}
    assert report().by_layer["b"].kind == "derived"  # of a measured price, but not measured


def test_weakest_is_never_firmer_than_derived():
    assert weakest([]) == weakest(["measured", "architectural"]) == "derived"
    assert weakest(KINDS) == "proxy"


def test_document_is_json_with_sums():
    document = json.loads(json.dumps(report().document()))
    assert document["schema_version"] == 1
    assert document["total"]["value"] == 15.0
    assert document["by_layer"]["a"]["high"] == 10.0
    assert document["energy"][0]["price"]["kind"] == "simulated"
    assert document["mapping"][1]["bound_by"] == "input axons"


def test_a_value_lies_within_its_band():
    assert quantity(1.0).has_band
    assert not quantity(1.0, spread=0).has_band
    with pytest.raises(ValueError, match="outside its band"):
        Quantity(value=3, unit="J", kind="fitted", source="x", low=1, high=2)
