"""The whole recipe, and what its sections must agree on."""

from typing import Annotated

import tomli_w
from pydantic import Field, model_validator

from tssl.recipe.data import AugmentationSpec, DataSpec
from tssl.recipe.encoding import EncodingSpec
from tssl.recipe.network import NetworkSpec
from tssl.recipe.training import TrainingSpec
from tssl.settings import Entries

__all__ = ["Recipe"]


class Recipe(Entries):
    """Everything that decides a training run, apart from the machine."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    description: str = ""
    data: DataSpec
    encoding: EncodingSpec = EncodingSpec()
    augmentation: AugmentationSpec = AugmentationSpec()
    network: NetworkSpec
    training: TrainingSpec = TrainingSpec()

    @model_validator(mode="after")
    def _check_input_neurons(self) -> "Recipe":
        """Refuse neurons that never fire, however bright their pixel."""
        encoding, steps = self.encoding, self.network.time_steps
        reached = steps * round(encoding.brightest * encoding.resolution)
        if encoding.input == "neurons" and reached < encoding.firing_sum:
            raise ValueError(
                f"encoding: no input neuron fires in {steps} steps; use a smaller "
                "input_threshold, a larger resolution or more time_steps"
            )
        if encoding.steps is not None and encoding.steps > steps:
            raise ValueError(
                f"encoding: spikes come in {encoding.steps} steps, and network.time_steps = "
                f"{steps}; use more time_steps or a smaller resolution"
            )
        return self

    def to_toml(self) -> str:
        """Return the recipe as TOML text, every default spelled out."""
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True, by_alias=True))
