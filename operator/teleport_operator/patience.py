"""For how long whoever sent us away is left alone: for as long as it asked, within bounds. Pure."""

from datetime import timedelta

from teleport.errors import LimitExceeded, TeleportError, Unavailable
from teleport.kube.errors import BadAnswer

NOBODY_ASKED = timedelta()
LONGEST = timedelta(minutes=1)
"""Whatever is asked: a server that names a day must not end the operator's work for a day."""


def find_asked_wait(error: TeleportError) -> timedelta:
    """Return the wait that an error asks for. An answer that is of no use asks for none: it concerns one question."""
    if isinstance(error, BadAnswer) or not isinstance(error, LimitExceeded | Unavailable):
        return NOBODY_ASKED
    return min(max(error.retry_after, NOBODY_ASKED), LONGEST)
