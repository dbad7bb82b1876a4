"""Why a tunnel, or a stream in it, is over."""

from typing import ClassVar

from teleport.errors import ConnectionFailed, Unavailable


class TunnelClosed(ConnectionFailed):
    """The tunnel or the stream is over: the peer is gone, silent, reset it or said goodbye."""


class ProtocolViolation(TunnelClosed):
    """The peer broke a rule of the protocol, which the message names; the tunnel is closed."""


class TunnelOverloaded(Unavailable):
    """There are too many streams, buffers are full, or the peer refused the stream; another tunnel may have room."""

    reason: ClassVar[str] = "tunnel_overloaded"
