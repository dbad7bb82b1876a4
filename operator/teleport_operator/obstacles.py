"""What keeps an object from being a token, and whether a person must do something or it is enough to wait."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

from teleport.errors import (
    AlreadyExists,
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
from teleport_operator.patience import NOBODY_ASKED, find_asked_wait

TRANSIENT = (Unavailable, ConnectionFailed, LimitExceeded, StorageError, TrustError, Unauthenticated)
RACES = (AlreadyExists, CompareFailed, NotFound)
"""Somebody else was faster: look again at what is there now."""


class Obstacle(TeleportError):
    """What an object needs cannot be done at present.

    Args:
        state: of the object.
        message: for its status.
        asked_wait: for how long whoever was asked wants to be left alone.
    """

    code = "obstacle"

    def __init__(self, state: State, message: str, asked_wait: timedelta = NOBODY_ASKED) -> None:
        super().__init__(message)
        self.state = state
        self.asked_wait = asked_wait


@contextmanager
def asking_auth() -> Iterator[None]:
    """Turn failures of auth into what they mean for an object; races pass as they are.

    Raises:
        Obstacle: auth does not answer, or refuses.
    """
    try:
        yield
    except RACES:
        raise
    except TRANSIENT as error:
        message = f"the auth server does not answer: {error.message}"
        raise Obstacle(State.AUTH_UNREACHABLE, message, find_asked_wait(error)) from error
    except TeleportError as error:
        raise Obstacle(State.AUTH_REJECTED, f"the auth server refuses: {error.message}") from error
