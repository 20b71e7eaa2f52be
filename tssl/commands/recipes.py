"""`tssl recipes`."""

import click

from tssl.commands.options import (
    RECIPES,
    common,
)
from tssl.terminal import Output


@click.command()
@click.argument("name", required=False, shell_complete=RECIPES)
@common
def recipes(output: Output, name: str | None) -> None:
    """List the shipped recipes, or print recipe NAME with every default spelled out.

    \b
    Examples:
      tssl recipes
      tssl recipes digits > mine.toml
    """
    from tssl.recipe import load_recipe
    from tssl.workflow.recipes import recipe_path, shipped_recipes

    if name is not None:
        recipe = load_recipe(recipe_path(name))
        tables = recipe.model_dump(mode="json", exclude_none=True, by_alias=True)
        if output.as_json:
            output.document({"schema_version": 1, "recipe": tables})
        else:
            output.line(recipe.to_toml().rstrip())
        return
    loaded = {name: load_recipe(path) for name, path in shipped_recipes().items()}
    if output.as_json:
        descriptions = {name: recipe.description for name, recipe in loaded.items()}
        output.document({"schema_version": 1, "recipes": descriptions})
        return
    rows = [[name, recipe.data.shown, recipe.description] for name, recipe in loaded.items()]
    output.table("Recipes", ["name", "data set", "description"], rows)
