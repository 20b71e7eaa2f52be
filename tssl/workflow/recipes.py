"""Finding recipes: shipped ones by name, any by path."""

from importlib.resources import files
from pathlib import Path

from tssl.errors import ConfigError
from tssl.wording import did_you_mean

_BEGINNING = 1024
"""Bytes, in which archives and arrays have a zero."""


def shipped_recipes() -> dict[str, Path]:
    """Return the recipes that come with the package, by name."""
    folder = Path(str(files("tssl") / "trainer" / "recipes"))
    return {path.stem: path for path in sorted(folder.glob("*.toml"))}


def recipe_path(name_or_path: str) -> Path:
    """Return the file of a recipe.

    Raises
    ------
    ConfigError
        When there is neither a shipped recipe nor a file of that name, or that file is no text.
    """
    shipped = shipped_recipes()
    if name_or_path in shipped:
        return shipped[name_or_path]
    path = Path(name_or_path)
    if path.is_file():
        if not _is_text(path):
            raise ConfigError(
                f"{path}: is no recipe, which is a text in TOML; if it holds data, name a recipe "
                f"and give them by `tssl train RECIPE --data {path}`"
            )
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


def _is_text(path: Path) -> bool:
    """Return whether a file may be text; whoever reads it says why it cannot be read."""
    try:
        with path.open("rb") as file:
            return b"\0" not in file.read(_BEGINNING)
    except OSError:
        return True
