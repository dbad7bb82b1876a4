from datetime import timedelta

import pytest

from teleport.errors import (
    AccessDenied,
    AlreadyExists,
    BadParameter,
    CompareFailed,
    ConnectionFailed,
    LimitExceeded,
    NotFound,
    StorageError,
    TeleportError,
    TrustError,
    Unauthenticated,
    Unavailable,
)
from teleport_operator.conditions import State
from teleport_operator.obstacles import Obstacle, asking_auth


@pytest.mark.parametrize(
    "kind", [Unavailable, ConnectionFailed, LimitExceeded, StorageError, TrustError, Unauthenticated]
)
def test_what_passes_by_itself_is_waited_for(kind: type[TeleportError]) -> None:
    with pytest.raises(Obstacle, match="does not answer: why") as caught, asking_auth():
        raise kind("why")
    assert caught.value.state is State.AUTH_UNREACHABLE


def test_the_wait_that_auth_asks_for_is_kept_in_mind() -> None:
    with pytest.raises(Obstacle) as caught, asking_auth():
        raise LimitExceeded("why", timedelta(seconds=7))
    assert caught.value.asked_wait == timedelta(seconds=7)


@pytest.mark.parametrize("kind", [BadParameter, AccessDenied])
def test_a_refusal_wants_a_person(kind: type[TeleportError]) -> None:
    with pytest.raises(Obstacle, match="refuses: why") as caught, asking_auth():
        raise kind("why")
    assert caught.value.state is State.AUTH_REJECTED


@pytest.mark.parametrize("kind", [AlreadyExists, CompareFailed, NotFound])
def test_a_race_stays_a_race(kind: type[TeleportError]) -> None:
    with pytest.raises(kind), asking_auth():
        raise kind("somebody was faster")


def test_a_fault_of_our_own_is_nothing_that_auth_said() -> None:
    with pytest.raises(ZeroDivisionError), asking_auth():
        raise ZeroDivisionError
