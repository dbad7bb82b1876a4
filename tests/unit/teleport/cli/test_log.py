import logging
import sys
from types import SimpleNamespace
from typing import cast

import pytest

from teleport.cli.log import log_unraisable


def tell(error: Exception) -> None:
    what = SimpleNamespace(exc_type=type(error), exc_value=error, exc_traceback=None, err_msg=None, object=None)
    log_unraisable(cast("sys.UnraisableHookArgs", what))


def test_an_error_that_has_nowhere_to_go_is_one_line_without_its_text(caplog: pytest.LogCaptureFixture) -> None:
    tell(ValueError("a stranger's text"))
    assert [(record.levelno, record.getMessage()) for record in caplog.records] == [
        (logging.ERROR, "an error had nowhere to go: ValueError")
    ]


def test_hostile_49_a_name_that_is_no_text_is_not_worth_a_line(caplog: pytest.LogCaptureFixture) -> None:
    tell(UnicodeDecodeError("ascii", b"\xff", 0, 1, "not in range"))
    assert [record.levelno for record in caplog.records if record.levelno > logging.DEBUG] == []
