"""The table of kinds of execution: every kind has an entry, and names keys of a profile."""

from typing import get_args

import pytest

from tssl.hw_profiles import load_profile, profile_names
from tssl.hw_profiles.profile.executions import EXECUTIONS, ExecutionName
from tssl.hw_profiles.profile.tables import Energy, Limits, Time

TABLES = {"limits": Limits, "time": Time}


def test_every_kind_has_an_entry():
    assert tuple(EXECUTIONS) == get_args(ExecutionName)


@pytest.mark.parametrize("name", EXECUTIONS)
def test_an_entry_names_keys_of_a_profile(name):
    kind = EXECUTIONS[name]
    for path in kind.needed:
        table, key = path.split(".")
        assert key in TABLES[table].model_fields
    assert {*kind.lasting, *kind.timed} <= set(Time.model_fields)
    assert kind.main_price in Energy.model_fields


def test_every_kind_is_that_of_a_shipped_profile():
    assert {load_profile(name).chip.execution for name in profile_names()} == set(EXECUTIONS)
