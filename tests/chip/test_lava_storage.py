"""Which dense weights Lava keeps: the table row by row, and Lava's own helpers."""

import importlib.util
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from tssl.chip import recurrent_storage_problem, storage_problem
from tssl.chip.lava_storage import stored_shift

KEPT = {
    "both signs, full range": [[-256, 254]],
    "both signs, odd": [[-255, 253, 1, -1]],
    "both signs, smallest": [[1, -1]],
    "not negative, up to 255": [[0, 255]],
    "all positive": [[1, 2, 3]],
    "one weight": [[7]],
    "all negative, no power of two": [[-255, -1]],
    "all negative, three": [[-3, -1]],
    "not positive, below 128": [[-127, 0, -1]],
    "not positive, even": [[-254, 0, -2]],
    "not positive, just above 128": [[-130, 0]],
}
ALTERED = {
    "all zero": ([[0, 0]], "is all zero, which Lava cannot load"),
    "both signs, too large": ([[-1, 255]], r"spans -1\.\.255; Lava clips it to -256\.\.254"),
    "both signs, too small": ([[-257, 1]], r"spans -257\.\.1; Lava clips it"),
    "not negative, above 255": ([[0, 256]], "reaches 256; above 255 Lava silences the layer"),
    "all positive, above 255": ([[1, 300]], "has no negative entry and reaches 300"),
    "all minus one": ([[-1, -1]], "has no positive entry and reaches -1; Lava alters it"),
    "all negative, 128": ([[-128, -5]], "reaches -128; Lava alters it"),
    "all negative, 256": ([[-256, -5]], "reaches -256; Lava alters it"),
    "all negative, 257": ([[-257, -5]], "reaches -257; Lava alters it"),
    "not positive, 64": ([[-64, 0]], "reaches -64; Lava alters it"),
    "not positive, 128": ([[-128, 0]], "reaches -128; Lava alters it"),
    "not positive, odd above 128": ([[-254, 0, -3]], "reaches -254; Lava alters it"),
    "not positive, above 255": ([[-256, 0]], "reaches -256; Lava alters it"),
}


@pytest.mark.parametrize("weight", KEPT.values(), ids=KEPT.keys())
def test_matrices_that_survive(weight: list[list[int]]):
    assert storage_problem(np.array(weight)) is None


@pytest.mark.parametrize(("weight", "message"), ALTERED.values(), ids=ALTERED.keys())
def test_matrices_that_do_not(weight: list[list[int]], message: str):
    problem = storage_problem(np.array(weight))
    assert problem is not None
    with pytest.raises(ValueError, match=message):
        raise ValueError(problem)


@pytest.mark.parametrize(
    ("weight", "shift"),
    [([[-256, 254]], 0), ([[1, -1]], 7), ([[64, -1]], 1), ([[255, 0]], 0), ([[1]], 7), ([[0]], 7)],
)
def test_stored_shift_fills_the_field(weight: list[list[int]], shift: int):
    assert stored_shift(np.array(weight)) == shift


@pytest.fixture(scope="module")
def netx_utils() -> ModuleType:
    """lava-dl's weight helpers, from their file: the package around them needs far more."""
    lava = pytest.importorskip("lava", reason="needs Lava")
    for folder in lava.__path__:
        file = Path(folder) / "lib" / "dl" / "netx" / "utils.py"
        if file.is_file():
            spec = importlib.util.spec_from_file_location("netx_utils_alone", file)
            assert spec is not None
            assert spec.loader is not None
            module = importlib.util.module_from_spec(spec)
            spec.loader.exec_module(module)
            return module
    pytest.skip("needs lava-dl")


def stored_by_lava(netx_utils: ModuleType, weight: np.ndarray) -> tuple[np.ndarray, int]:
    """Return what lava-nc multiplies by, in units of the weights, and the shift."""
    helpers = pytest.importorskip("lava.utils.weightutils")
    optimized, bits, exponent, _ = netx_utils.optimize_weight_bits(weight)
    sign_mode = helpers.determine_sign_mode(optimized)
    clipped = helpers.clip_weights(optimized, sign_mode, num_bits=8)
    stored = helpers.truncate_weights(clipped, sign_mode, bits)
    return stored * 2.0**exponent, -exponent


def random_matrix(rng: np.random.Generator) -> np.ndarray:
    """Return a small matrix, often one-signed, often with zeros, often near the limits."""
    largest = int(rng.choice([1, 2, 3, 64, 100, 127, 128, 129, 200, 254, 255, 256, 257, 300]))
    low, high = [(-largest, largest), (0, largest), (-largest, 0), (-largest, -1)][rng.integers(4)]
    weight = rng.integers(low, high + 1, (2, 3))
    if rng.random() < 0.5:
        weight[0, 0] = low if rng.random() < 0.5 else high
    return weight * 2 if rng.random() < 0.2 else weight


@pytest.mark.lava
@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.filterwarnings("ignore:invalid value")
def test_the_rule_equals_lavas_own_helpers(netx_utils: ModuleType, rng: np.random.Generator):
    kept = 0
    for _ in range(4000):
        weight = random_matrix(rng)
        if not weight.any():
            continue  # Lava raises OverflowError
        lava_weight, shift = stored_by_lava(netx_utils, weight)
        survives = np.array_equal(lava_weight, weight)
        assert survives is (storage_problem(weight) is None), weight
        if survives:
            kept += 1
            assert shift == stored_shift(weight), weight
    assert 1000 < kept < 3800, "both outcomes must be seen often"


@pytest.mark.lava
@pytest.mark.filterwarnings("ignore:divide by zero")
@pytest.mark.filterwarnings("ignore:invalid value")
def test_recurrent_pairs_equal_lavas_own_helpers(netx_utils: ModuleType, rng: np.random.Generator):
    """lava-dl chooses for both matrices together, lava-nc looks at each alone."""
    kept = mixed_signs = 0
    for _ in range(4000):
        weight, own = random_matrix(rng), random_matrix(rng)
        if not (weight.any() or own.any()):
            continue  # Lava raises OverflowError
        helpers = pytest.importorskip("lava.utils.weightutils")
        both, bits, exponent, _ = netx_utils.optimize_weight_bits(np.hstack([weight, own]))
        stored = []
        for half in (both[:, :3], both[:, 3:]):
            sign_mode = helpers.determine_sign_mode(half)
            clipped = helpers.clip_weights(half, sign_mode, num_bits=8)
            stored.append(helpers.truncate_weights(clipped, sign_mode, bits) * 2.0**exponent)
        survives = np.array_equal(stored, [weight, own])
        assert survives is (recurrent_storage_problem(weight, own) is None), (weight, own)
        kept += survives
        mixed_signs += survives and not all(m.min() < 0 < m.max() for m in (weight, own))
    assert 1000 < kept < 3800, "both outcomes must be seen often"
    assert mixed_signs > 500, "those with one sign were all refused before"
