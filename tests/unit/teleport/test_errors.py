import inspect
from datetime import timedelta

import pytest

from teleport import errors
from teleport.errors import BadConfiguration, JoinRefused, LimitExceeded, TeleportError, Unavailable

CLASSES = [found for _, found in inspect.getmembers(errors, inspect.isclass) if issubclass(found, TeleportError)]


def test_codes_are_stable() -> None:
    assert {found.__name__: found.code for found in CLASSES} == {
        "AccessDenied": "access_denied",
        "AlreadyExists": "already_exists",
        "BadConfiguration": "bad_parameter",
        "BadParameter": "bad_parameter",
        "CompareFailed": "compare_failed",
        "ConnectionFailed": "connection_failed",
        "JoinRefused": "join_refused",
        "LimitExceeded": "limit_exceeded",
        "MembershipEnded": "membership_ended",
        "NotFound": "not_found",
        "NotSupported": "not_supported",
        "SealError": "seal",
        "StorageError": "storage",
        "TeleportError": "internal",
        "TooLarge": "too_large",
        "TrustError": "trust",
        "Unauthenticated": "unauthenticated",
        "Unavailable": "unavailable",
        "VersionRefused": "version",
    }


def test_the_reason_of_a_refused_join_is_not_what_the_caller_reads() -> None:
    refusal = JoinRefused("token_expired", "token expired at noon")
    assert refusal.message == str(refusal) == JoinRefused.PUBLIC
    assert "noon" not in refusal.message


@pytest.mark.parametrize("phrase", ["expired or not found"])
def test_the_phrase_that_clients_look_for_is_in_the_answer(phrase: str) -> None:
    assert phrase in JoinRefused.PUBLIC


def test_a_configuration_tells_all_its_problems() -> None:
    error = BadConfiguration(["line 1: one", "line 2: two"])
    assert (error.message, error.problems) == ("line 1: one; line 2: two", ("line 1: one", "line 2: two"))


def test_errors_that_pass_say_when_to_come_back() -> None:
    assert LimitExceeded("slow down").retry_after == timedelta(seconds=60)
    assert Unavailable("not now", timedelta(seconds=1)).retry_after == timedelta(seconds=1)
