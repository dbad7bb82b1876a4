"""What one tunnel may hold, and for how long it waits."""

from dataclasses import dataclass
from datetime import timedelta

from teleport.errors import BadParameter

INITIAL_WINDOW = 256 * 1024
"""Bytes that may be sent on a stream before the peer gives more; fixed by the protocol."""
MAX_WINDOW = 1024 * 1024


@dataclass(frozen=True, slots=True)
class TunnelLimits:
    """The bounds of one session; sizes are in bytes.

    Args:
        window: how much of a stream a peer may send that nobody has read yet; 256 KiB to 1 MiB.
        max_streams: streams at once, those that wait to be opened included.
        backlog: streams that were opened and that the other side has not accepted yet.
        max_stream_unsent: a stream whose writer leaves more than that unsent, against all warnings, is cut.
        max_session_unsent: the same for all streams together.
        max_session_unread: beyond that much that no reader takes the stream with the most of it is cut.
        max_resets: streams that the peer may open and reset within ten seconds.
        keepalive: how often the peer is asked for a sign of life.
        silence: a peer that sends nothing for so long is gone.
        linger: how long the peer of a stream that was closed may take to close it as well.

    Raises:
        BadParameter: the window is outside its bounds.
    """

    window: int = INITIAL_WINDOW
    max_streams: int = 1024
    backlog: int = 256
    max_stream_unsent: int = 8 * 1024 * 1024
    max_session_unsent: int = 32 * 1024 * 1024
    max_session_unread: int = 32 * 1024 * 1024
    max_resets: int = 1000
    keepalive: timedelta = timedelta(seconds=15)
    silence: timedelta = timedelta(seconds=45)
    linger: timedelta = timedelta(seconds=30)

    def __post_init__(self) -> None:
        """Check the window."""
        if not INITIAL_WINDOW <= self.window <= MAX_WINDOW:
            raise BadParameter(f"a stream's window is {INITIAL_WINDOW} to {MAX_WINDOW} bytes, not {self.window}")
