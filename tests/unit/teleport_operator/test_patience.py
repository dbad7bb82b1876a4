from datetime import timedelta

import pytest

from teleport.errors import AccessDenied, ConnectionFailed, LimitExceeded, TeleportError, Unavailable
from teleport.kube.errors import Forbidden, NoAnswer, TooBusy
from teleport_operator.patience import LONGEST, NOBODY_ASKED, find_asked_wait

SECOND = timedelta(seconds=1)


@pytest.mark.parametrize("error", [LimitExceeded, Unavailable, NoAnswer, TooBusy])
@pytest.mark.parametrize(
    ("asked", "wait"),
    [
        (SECOND, SECOND),
        (LONGEST, LONGEST),
        (LONGEST + SECOND, LONGEST),
        (timedelta(days=1), LONGEST),
        (-SECOND, NOBODY_ASKED),
    ],
)
def test_what_is_asked_for_is_heeded_within_bounds(
    error: type[LimitExceeded | Unavailable], asked: timedelta, wait: timedelta
) -> None:
    assert find_asked_wait(error("later", asked)) == wait


@pytest.mark.parametrize("error", [AccessDenied("no"), ConnectionFailed("cut"), Forbidden("no right")])
def test_what_asks_for_nothing_is_not_waited_for(error: TeleportError) -> None:
    assert find_asked_wait(error) == NOBODY_ASKED
