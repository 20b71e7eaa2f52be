"""Shapes that say what the numbers say."""

import numpy as np

from tests.reporting.samples import costs, result
from tssl.reporting import pictures
from tssl.reporting.pictures import ways


def test_a_core_map_has_a_square_per_core_in_its_layers_colour():
    report = costs()
    (chip,) = pictures.core_maps(report)
    busy = chip.squares
    assert len({(square.x, square.y) for square in busy}) == report.cores == 5
    assert chip.idle.count("M") == 128 - 5
    hues = pictures.layer_hues(report)
    assert [square.hue for square in busy] == [
        hues[name] for name in ("dense1",) * 3 + ("dense2", "dense3")
    ]
    assert max(square.strength for square in chip.squares) == 1


def test_without_a_mesh_cores_are_in_a_square():
    (chip,) = pictures.core_maps(costs(profile_name="spinnaker2"))
    assert len({(square.x, square.y) for square in chip.squares}) == len(chip.squares)


def test_the_way_from_layer_to_layer_by_hand():
    """Four cores a tile: dense1 takes three of the first, dense2 the last, dense3 the next."""
    report, (network, _) = costs(), result()
    assert report.mesh[2] == 4
    found = [(way.source, way.target, way.longest, way.pairs) for way in ways(report, network)]
    tiles = {load.layer: set() for load in report.loads}
    for load in report.loads:
        tiles[load.layer].add((load.column, load.row))
    apart = {
        (a, b): max(abs(x - z) + abs(y - w) for x, y in tiles[a] for z, w in tiles[b])
        for a, b in (("dense1", "dense2"), ("dense2", "dense3"))
    }
    assert found == [
        ("dense1", "dense2", apart["dense1", "dense2"], 3),
        ("dense2", "dense3", apart["dense2", "dense3"], 1),
    ]


def test_no_mesh_no_way():
    report, (network, _) = costs(profile_name="spinnaker2"), result()
    assert ways(report, network) == []
    (chip,) = pictures.core_maps(report, network)
    assert chip.lines == []
    assert chip.axes == ("core", "first core of the row")


def test_confusion_by_hand():
    matrix = pictures.confusion(np.array([1, 1, 0, 2]), np.array([1, 0, 0, 2]))
    found = {(cell.row, cell.column): (cell.samples, cell.strength) for cell in matrix.cells}
    assert found == {(0, 0): (1, 0.5), (0, 1): (1, 0.5), (1, 1): (1, 1.0), (2, 2): (1, 1.0)}
    assert matrix.names == ("0", "1", "2")
    assert pictures.confusion(np.array([1]), None) is None
    named = pictures.confusion(np.array([1]), np.array([0]), ("zero", "one", "two"))
    assert named.names == ("zero", "one", "two")
    assert named.note == ""
