"""What holds for all tests."""

import pytest
from hypothesis import settings

MAX_NAMED = 48

# How long an example takes says nothing on a busy machine.
settings.register_profile("patient", deadline=None)
settings.load_profile("patient")


def pytest_make_parametrize_id(config: pytest.Config, val: object, argname: str) -> str | None:  # noqa: ARG001 - pytest's names
    """Name a long parameter by its argument and a number.

    It may be a key that is made anew in each process, and processes that share the work must agree on names.
    """
    return argname if isinstance(val, str) and len(val) > MAX_NAMED else None
