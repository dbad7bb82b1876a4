"""What one forwarded connection may cost."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True, slots=True)
class ForwardingLimits:
    """Deadlines of a connection, and what its heads may hold.

    Args:
        idle: how long a connection may wait for its next request, the first one included.
        head: how long a request's head may take once its first byte is there.
        stall: how long a request's body may stand still, and how long an answer may wait to be read.
        answer: how long an application may take until the head of its answer, once the request is there as a whole.
        connect: how long a connection to one upstream may take.
        upstream_idle: how long a connection to an application is kept for the next request. It must be shorter than
            the time after which the other side closes it: a request that is sent in that moment is lost. Servers in
            use close after two seconds and more.
        max_head: bytes of a head, of a request or of an answer.
        max_fields: headers of a head.
    """

    idle: timedelta = timedelta(seconds=75)
    head: timedelta = timedelta(seconds=10)
    stall: timedelta = timedelta(seconds=60)
    answer: timedelta = timedelta(minutes=5)
    connect: timedelta = timedelta(seconds=10)
    upstream_idle: timedelta = timedelta(seconds=1)
    max_head: int = 32 * 1024
    max_fields: int = 100
