"""Published figures that stand beside a report."""

import pytest

from tssl.costs import KINDS
from tssl.datasets import DATASETS
from tssl.hw_profiles import quoted_for


def test_energy_is_power_times_time() -> None:
    """The abstract has 0.751 mW and 47.71 ms."""
    (accelerator,) = [each for each in quoted_for("mnist") if "STDBP" in each.title]
    assert accelerator.joules == pytest.approx(0.751e-3 * 47.71e-3, rel=2e-3)


@pytest.mark.parametrize("data", ["digits", None, "my-own"])
def test_data_that_nobody_published_for(data: str | None) -> None:
    assert quoted_for(data) == ()


def test_every_figure_is_of_a_set_that_there_is() -> None:
    found = [each for name in DATASETS for each in quoted_for(name)]
    assert len(found) == 3
    for each in found:
        assert each.kind in KINDS
        assert each.source
        assert each.limits
