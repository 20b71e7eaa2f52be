"""Finding recipes: shipped ones by name, any by path."""

from importlib.resources import files
from pathlib import Path

from tssl.errors import ConfigError
from tssl.wording import did_you_mean


def shipped_recipes() -> dict[str, Path]:
    """Return the recipes that come with the package, by name."""
    folder = Path(str(files("tssl") / "trainer" / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def recipe_path(name_or_path: str) -> Path:
    """Return the file of a recipe.

    Raises
    ------
    ConfigError
        When there is neither a shipped recipe nor a file of that name.
    """
    shipped = shipped_recipes()
    if name_or_path in shipped:
        return shipped[name_or_path]
    path = Path(name_or_path)
    if path.is_file():
        return path
    if (path / "recipe.toml").is_file():
        raise ConfigError(
            f"{path}: is a run and no recipe; go on with it by `tssl train --resume {path}`, start "
            f"from its weights by `tssl train --from {path}`, or name {path / 'recipe.toml'}"
        )
    raise ConfigError(
        f"recipe {name_or_path!r}: neither a file nor a shipped recipe"
        f"{did_you_mean(name_or_path, shipped)}; shipped are {', '.join(shipped)}"
    )
