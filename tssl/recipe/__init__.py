"""What a user writes: a recipe (data, encoding, network, training), validated, as TOML."""

from tssl.recipe.data import GIVEN, AugmentationSpec, DataSpec
from tssl.recipe.encoding import EncodingSpec
from tssl.recipe.network import LayerSpec, NetworkSpec
from tssl.recipe.reading import (
    data_from_table,
    entries_of,
    full_key,
    load_recipe,
    recipe_from_tables,
)
from tssl.recipe.recipe import Recipe
from tssl.recipe.training import TrainingSpec

__all__ = [
    "AugmentationSpec",
    "DataSpec",
    "EncodingSpec",
    "GIVEN",
    "LayerSpec",
    "NetworkSpec",
    "Recipe",
    "TrainingSpec",
    "data_from_table",
    "entries_of",
    "full_key",
    "load_recipe",
    "recipe_from_tables",
]
