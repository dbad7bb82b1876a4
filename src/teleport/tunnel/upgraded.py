"""A WebSocket whose handshake HTTP has done already: what is left of the server's side of RFC 6455."""

import asyncio
from collections.abc import Callable

from websockets.http11 import Request, Response
from websockets.protocol import State
from websockets.server import ServerProtocol

from teleport.tunnel.websocket import MAX_MESSAGE, WebSocket


class UpgradedWebSocket(WebSocket):
    """The protocol of a connection on which the answer 101 was the last of HTTP.

    Args:
        protocol_factory: makes the protocol inside.
    """

    def __init__(self, protocol_factory: Callable[[], asyncio.Protocol]) -> None:
        super().__init__(ServerProtocol(state=State.OPEN, max_size=MAX_MESSAGE), protocol_factory=protocol_factory)

    def begin(self) -> None:
        """Begin with the protocol inside."""
        self.open_up()

    def take_handshake(self, message: Request | Response) -> None:
        """There is none."""
