"""Many trainings and exports of one recipe: what they are, who does which, and what came out."""

from tssl.sweeps.outcome import (
    FIGURES,
    Combination,
    Count,
    Point,
    Spread,
    combinations,
    pareto_front,
)
from tssl.sweeps.spaces import Choices, Range, Space
from tssl.sweeps.spec import (
    WEIGHT_BITS,
    Job,
    SweepSpec,
    bits_of,
    changed,
    is_sweep,
    name_of,
    only_begun,
    recipe_file,
)
from tssl.sweeps.study import Claim, Study, check_installed

__all__ = [
    "Choices",
    "Claim",
    "Combination",
    "Count",
    "FIGURES",
    "Job",
    "Point",
    "Range",
    "Space",
    "Spread",
    "Study",
    "SweepSpec",
    "WEIGHT_BITS",
    "bits_of",
    "changed",
    "check_installed",
    "combinations",
    "is_sweep",
    "name_of",
    "only_begun",
    "pareto_front",
    "recipe_file",
]
