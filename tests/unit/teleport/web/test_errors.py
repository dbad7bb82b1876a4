import logging
from datetime import timedelta
from http import HTTPStatus

import orjson
import pytest

from teleport import errors
from teleport.web.call import Reply
from teleport.web.errors import Answered, MalformedRequest, build_error_reply

SECRET = "abracadabra-secret"


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (errors.BadParameter("x"), 400, "bad_parameter"),
        (errors.TooLarge("x"), 413, "too_large"),
        (errors.Unauthenticated("x"), 401, "unauthenticated"),
        (errors.AccessDenied("x"), 403, "access_denied"),
        (errors.JoinRefused("token_expired", "the token ended"), 403, "join_refused"),
        (errors.NotFound("x"), 404, "not_found"),
        (errors.AlreadyExists("x"), 409, "already_exists"),
        (errors.CompareFailed("x"), 412, "compare_failed"),
        (errors.LimitExceeded("x"), 429, "limit_exceeded"),
        (errors.NotSupported("x"), 501, "not_supported"),
        (errors.Unavailable("x"), 503, "unavailable"),
        (errors.StorageError("x"), 503, "storage"),
        (errors.ConnectionFailed("x"), 500, "internal"),
        (errors.TrustError("x"), 500, "internal"),
        (errors.SealError("x"), 500, "internal"),
        (errors.TeleportError("x"), 500, "internal"),
        (ValueError("x"), 500, "internal"),
        (TimeoutError(), 500, "internal"),
        (MalformedRequest("x", HTTPStatus.REQUEST_TIMEOUT), 408, "bad_parameter"),
    ],
)
def test_every_error_has_one_status(error: Exception, status: int, code: str) -> None:
    reply = build_error_reply(error)
    assert (reply.status, orjson.loads(reply.body)["error"]["code"]) == (status, code)


def test_the_body_says_what_the_error_says() -> None:
    reply = build_error_reply(errors.NotFound("token abc does not exist"))
    assert orjson.loads(reply.body) == {"error": {"code": "not_found", "message": "token abc does not exist"}}


def test_the_reason_of_a_refused_join_stays_inside() -> None:
    reply = build_error_reply(errors.JoinRefused("token_expired", "the token ended an hour ago"))
    assert b"ended" not in reply.body
    assert b"token_expired" not in reply.body


@pytest.mark.parametrize(
    ("error", "seconds"),
    [
        (errors.LimitExceeded("x", timedelta(milliseconds=1)), "1"),
        (errors.LimitExceeded("x", timedelta(seconds=1.2)), "2"),
        (errors.Unavailable("x", timedelta(seconds=7)), "7"),
        (errors.StorageError("x"), "30"),
    ],
)
def test_who_may_come_back_is_told_when(error: errors.TeleportError, seconds: str) -> None:
    assert build_error_reply(error).headers == (("Retry-After", seconds),)


def test_a_storage_error_tells_its_details_to_the_log_only(caplog: pytest.LogCaptureFixture) -> None:
    reply = build_error_reply(errors.StorageError("/var/lib/teleport is full"))
    assert b"/var/lib" not in reply.body
    assert "/var/lib/teleport is full" in caplog.text


def test_an_internal_error_is_found_again_in_the_log_by_its_id(caplog: pytest.LogCaptureFixture) -> None:
    message = orjson.loads(build_error_reply(KeyError("x")).body)["error"]["message"]
    assert f"request {message.split()[-1]} failed: KeyError" in caplog.text


def test_the_text_of_a_foreign_error_reaches_neither_caller_nor_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    try:
        int(SECRET)
    except ValueError as error:
        reply = build_error_reply(error)
    assert SECRET.encode() not in reply.body
    assert "test_errors.py" in caplog.text
    assert SECRET not in caplog.text


def test_a_route_may_have_words_of_its_own() -> None:
    reply = Reply(429, b"<p>slowly</p>", "text/html")
    assert build_error_reply(Answered(reply)) is reply
