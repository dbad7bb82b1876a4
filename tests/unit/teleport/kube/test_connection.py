import json
from datetime import timedelta

import pytest

from teleport.errors import CompareFailed, TeleportError, Unavailable
from teleport.kube.connection import MAX_MESSAGE, check_answer, hide_tokens
from teleport.kube.errors import BadAnswer, Forbidden, Gone, Missing, NoAnswer, TooBusy
from teleport.kube.outgoing import Answer

WAIT = timedelta(seconds=7)


def refuse(status: int, content: bytes = b"") -> TeleportError:
    """Return what an answer is refused by."""
    with pytest.raises(TeleportError) as refusal:
        check_answer(Answer(status, WAIT, content))
    return refusal.value


@pytest.mark.parametrize("status", [200, 201, 204])
def test_a_success_is_let_through(status: int) -> None:
    check_answer(Answer(status, WAIT, b""))


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (400, BadAnswer),
        (401, BadAnswer),
        (403, Forbidden),
        (404, Missing),
        (409, CompareFailed),
        (410, Gone),
        (413, BadAnswer),
        (422, BadAnswer),
        (302, BadAnswer),
        (408, NoAnswer),
        (429, TooBusy),
        (500, NoAnswer),
        (503, NoAnswer),
        (504, NoAnswer),
    ],
)
def test_hostile_20_each_status_has_its_meaning(status: int, expected: type[TeleportError]) -> None:
    assert type(refuse(status)) is expected


@pytest.mark.parametrize("status", [429, 500, 503])
def test_hostile_20_what_passes_says_when_to_come_back(status: int) -> None:
    error = refuse(status)
    assert isinstance(error, Unavailable)
    assert error.retry_after == WAIT


def test_hostile_23_the_stranger_does_not_learn_what_the_log_does() -> None:
    error = refuse(403, json.dumps({"message": 'User "system:serviceaccount:teleport:auth" cannot create'}).encode())
    assert isinstance(error, Forbidden)
    assert "system:serviceaccount:teleport:auth" in error.detail
    assert "system:serviceaccount" not in error.message


@pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"null", b"7", b'{"a": 1}', b"[" * 100_000])
def test_hostile_22_an_error_without_a_reason_is_one_too(content: bytes) -> None:
    error = refuse(500, content)
    assert isinstance(error, NoAnswer)
    assert error.detail == "the Kubernetes API answered 500: without a reason"


def test_a_reason_is_bounded_and_holds_no_token() -> None:
    error = refuse(400, json.dumps({"message": 'found in ...|"eyJhbGciOi.eyJpc3Mi.c2ln"' + "x" * 5000}).encode())
    assert isinstance(error, BadAnswer)
    assert "eyJ" not in error.detail
    assert len(error.detail) < MAX_MESSAGE + 50


def test_only_tokens_are_hidden() -> None:
    assert hide_tokens("pods are forbidden") == "pods are forbidden"
