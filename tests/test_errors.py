"""The error tree and the exit status of each class."""

import inspect
import re

import pytest

from tssl import errors

EXIT_CODES = {
    "TsslError": 2,
    "ConfigError": 2,
    "UnusedSettingError": 2,
    "DataError": 2,
    "CheckpointError": 2,
    "NetFileError": 2,
    "NirFileError": 2,
    "OutputError": 2,
    "TrainingError": 2,
    "TargetError": 3,
    "UnsupportedLayerError": 3,
    "RangeError": 3,
    "CapacityError": 3,
    "VerificationError": 4,
    "BackendError": 5,
    "BackendUnavailableError": 5,
    "BackendTimeoutError": 6,
}


def error_classes() -> dict[str, type[errors.TsslError]]:
    return {name: item for name, item in vars(errors).items() if inspect.isclass(item)}


def test_every_class_has_its_exit_code():
    assert {name: item.exit_code for name, item in error_classes().items()} == EXIT_CODES


def test_the_drawing_at_the_top_shows_every_class_with_its_code():
    drawn = re.findall(r"(\w+Error)\s+(\d)", errors.__doc__ or "")
    assert {name: int(code) for name, code in drawn} == EXIT_CODES


def test_the_drawing_shows_who_derives_from_whom():
    parents: dict[int, str] = {}
    for line in (errors.__doc__ or "").splitlines():
        if found := re.search(r"(\w+Error)\s+\d", line):
            parents[found.start()] = found.group(1)
            above = [name for depth, name in sorted(parents.items()) if depth < found.start()]
            if above:
                assert getattr(errors, found.group(1)).__base__ is getattr(errors, above[-1])


@pytest.mark.parametrize("name", sorted(EXIT_CODES))
def test_every_class_is_a_tssl_error_with_a_docstring(name: str):
    error = getattr(errors, name)
    assert issubclass(error, errors.TsslError)
    assert error.__doc__
    assert str(error("one line")) == "one line"
