"""The table of NIR's kinds of nodes, against the classes of the nir package where it is there."""

import dataclasses

import pytest

from tssl.exchange.nir.description import INPUT, KINDS, OUTPUT, NirNode
from tssl.exchange.nir.maps import _APPLIED

ENDS = {INPUT, OUTPUT}


def test_a_kind_is_an_end_or_linear_or_has_a_potential():
    for name, kind in KINDS.items():
        assert [name in ENDS, kind.is_linear, kind.keeps_state].count(True) == 1, name
        assert kind.keeps_state or not kind.fires
        assert kind.is_linear or not kind.is_pool


def test_linear_kinds_and_ends_say_what_they_compute():
    assert _APPLIED.keys() == ENDS | {name for name, kind in KINDS.items() if kind.is_linear}


@pytest.mark.parametrize("name", sorted(KINDS.keys() - ENDS))
def test_the_fields_are_those_of_nir(name):
    nir = pytest.importorskip("nir")
    known = {field.name for field in dataclasses.fields(getattr(nir, name))}
    kind = KINDS[name]
    assert {*kind.fields, *kind.optional} <= known
    assert kind.shape_field is None or kind.shape_field[0] in known


@pytest.mark.parametrize(
    ("kind", "is_integrator", "is_source"),
    [("I", True, False), ("IF", True, True), ("LIF", False, True), ("Threshold", False, True)],
)
def test_what_a_node_is_follows_from_its_fields(kind, is_integrator, is_source):
    node = NirNode(name="n", kind=kind, numbers=dict.fromkeys(KINDS[kind].fields))
    assert (node.is_integrator, node.is_source) == (is_integrator, is_source)
