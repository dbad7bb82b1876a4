import json
from datetime import timedelta

import aiohttp
import pytest

from teleport import errors
from teleport.api import client, direct
from teleport.api.client import _error_from
from teleport.errors import ConnectionFailed, JoinRefused, LimitExceeded, TeleportError, Unavailable
from teleport.web.errors import STATUS_BY_CODE


def build_body(code: str, message: str = "what went wrong") -> bytes:
    return json.dumps({"error": {"code": code, "message": message}}).encode()


@pytest.mark.parametrize("code", sorted(STATUS_BY_CODE))
def test_every_code_that_a_server_sends_becomes_its_own_error(code: str) -> None:
    error = _error_from(STATUS_BY_CODE[code], build_body(code))
    assert (error.code, error.message) == (code, "what went wrong")


@pytest.mark.parametrize("code", ["internal", "from_the_future", ""])
def test_a_code_that_is_unknown_is_an_error_all_the_same(code: str) -> None:
    error = _error_from(500, build_body(code))
    assert type(error) is TeleportError
    assert error.message == "what went wrong"


@pytest.mark.parametrize(("code", "kind"), [("unavailable", Unavailable), ("limit_exceeded", LimitExceeded)])
def test_hostile_20_when_to_come_back_is_what_the_server_says(
    code: str, kind: type[Unavailable | LimitExceeded]
) -> None:
    for text, seconds in (("7", 7), ("0", 0), ("99999", 99999)):
        error = _error_from(503, build_body(code), text)
        assert isinstance(error, kind)
        assert error.retry_after == timedelta(seconds=seconds)
    usual = kind("").retry_after
    for text in ("", "soon", "-1", "1.5", "\u0661", "9" * 100, "Wed, 21 Oct 2026 07:28:00 GMT"):
        error = _error_from(503, build_body(code), text)
        assert isinstance(error, kind)
        assert error.retry_after == usual


def test_a_refused_join_says_what_the_caller_may_know() -> None:
    error = _error_from(403, build_body("join_refused", JoinRefused.PUBLIC))
    assert isinstance(error, JoinRefused)
    assert error.message == JoinRefused.PUBLIC


@pytest.mark.parametrize("content", [b"", b"<html>Bad Gateway</html>", b"{}", b'{"error": "text"}', b"\xff", b"[]"])
def test_an_answer_that_is_not_the_apis_is_told_by_its_status(content: bytes) -> None:
    error = _error_from(502, content)
    assert isinstance(error, ConnectionFailed)
    assert error.message == "the server answered with status 502"


def test_every_error_of_the_table_is_one_of_ours() -> None:
    for code, error in client._ERRORS.items():
        assert getattr(errors, error.__name__).code == code


def test_silence_and_closed_doors_are_told_apart() -> None:
    assert direct._describe(TimeoutError()) == "no answer in time"
    assert "does not trust" in direct._describe(aiohttp.ServerDisconnectedError())
    assert direct._describe(OSError()) == "OSError"
