"""Finding and reading profiles; a wrong one is explained in one line."""

from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError

from tssl.errors import ConfigError
from tssl.hw_profiles.profile.tables import Profile
from tssl.machine.files import read_toml
from tssl.wording import did_you_mean

__all__ = ["load_profile", "profile_names", "target_names"]

_FOLDER = Path(__file__).parents[1]
_PLAIN = {"string_too_short": "must not be empty"}
"""What pydantic says in other words than a reader of TOML would."""


def profile_names() -> tuple[str, ...]:
    """Return the names of the shipped profiles, sorted."""
    return tuple(sorted(path.stem for path in _FOLDER.glob("*.toml")))


def target_names() -> tuple[str, ...]:
    """Return the names of those that a network can be exported for, sorted."""
    return tuple(name for name in profile_names() if load_profile(name).is_target)


def load_profile(name_or_path: str | Path) -> Profile:
    """Read a shipped profile by name, or any profile by the path of its ``.toml`` file.

    Raises
    ------
    ConfigError
        When there is no such profile, a key is unknown or missing, or a value is wrong.
    """
    path = _path(name_or_path)
    tables = read_toml(path)
    try:
        profile = Profile.model_validate(tables)
    except ValidationError as error:
        raise ConfigError(_explained(path, error)) from error
    reference = profile.chip.ann_reference
    if reference is not None and reference not in profile_names():
        raise ConfigError(
            f"{path}: chip.ann_reference: {reference!r} is no shipped profile"
            f"{did_you_mean(reference, profile_names())}; shipped are {', '.join(profile_names())}"
        )
    profile._name = path.stem
    return profile


def _path(name_or_path: str | Path) -> Path:
    if str(name_or_path) in profile_names():
        return _FOLDER / f"{name_or_path}.toml"
    path = Path(name_or_path)
    if path.suffix == ".toml":
        return path
    raise ConfigError(
        f"there is no hardware profile {str(name_or_path)!r}"
        f"{did_you_mean(name_or_path, profile_names())}; shipped are "
        f"{', '.join(profile_names())}, and a path must end in .toml"
    )


def _explained(path: Path, error: ValidationError) -> str:
    """Return one line about one thing that is wrong.

    Of a misspelt key, which is also a missing one, the misspelling is shown.
    """
    problems = error.errors(include_url=False)
    shown = next((each for each in problems if each["type"] == "extra_forbidden"), problems[0])
    location = [str(part) for part in shown["loc"]]
    known = ", ".join(_known_keys(Profile, location[:-1]))
    if shown["type"] == "extra_forbidden":
        text = f"is no key of a profile; allowed here are {known}"
    elif shown["type"] == "missing":
        text = f"is missing; the keys here are {known}"
    elif shown["type"] in ("model_type", "dict_type"):
        text = "must be a table"
    else:
        text = shown["msg"].removeprefix("Value error, ").replace("Input should", "must")
        text = _PLAIN.get(shown["type"], text)
        if isinstance(shown["input"], str | float | int):
            text += f", not {shown['input']!r}"
    more = f" (and {len(problems) - 1} more)" if len(problems) > 1 else ""
    return ": ".join([str(path), *filter(None, [".".join(location)]), text]) + more


def _known_keys(model: type[BaseModel], location: list[str]) -> list[str]:
    """Return the keys of the table at ``location``."""
    for part in location:
        fields = _by_key(model)
        inner = _table(fields[part].annotation) if part in fields else None
        if inner is None:
            return []
        model = inner
    return list(_by_key(model))


def _table(annotation: Any) -> type[BaseModel] | None:  # noqa: ANN401 - any type expression
    """Return the table that a field holds, out of ``Annotated`` and ``| None``."""
    is_class = isinstance(annotation, type) and get_origin(annotation) is None  # Python 3.10
    if is_class and issubclass(annotation, BaseModel):
        return annotation
    if get_origin(annotation) in (Union, UnionType, Annotated):
        tables = (_table(part) for part in get_args(annotation))
        return next((table for table in tables if table is not None), None)
    return None


def _by_key(model: type[BaseModel]) -> dict[str, Any]:
    return {field.alias or name: field for name, field in model.model_fields.items()}
