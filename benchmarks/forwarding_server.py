"""The forwarding connection of the product alone, between a TCP port and an application: nothing else runs here."""

import asyncio
import sys

import uvloop

from teleport.clock import SystemClock
from teleport.web.call import Peer
from teleport.web.forwarding.connection import ForwardingConnection
from teleport.web.forwarding.destination import Destination, Upstream
from teleport.web.forwarding.limits import ForwardingLimits
from teleport.web.forwarding.plan import Forwarded, HeaderPlan
from teleport.web.forwarding.targets import parse_target

PEER = Peer("192.0.2.7")


async def main(port: int, app: str) -> None:
    """Forward everything that comes on the port, until it is ended."""
    plan = HeaderPlan(
        set_headers=((b"Teleport-Jwt-Assertion", b"x" * 600),),
        forwarded=Forwarded(PEER.remote_addr),
        hidden_cookies=frozenset({b"__Host-session"}),
    )
    destination = Destination((Upstream("app", parse_target(app).open),), plan)
    limits, clock = ForwardingLimits(), SystemClock()

    def accept() -> asyncio.Protocol:
        return ForwardingConnection(
            lambda *_: destination, peer=PEER, limits=limits, clock=clock, on_closed=lambda: None
        )

    server = await asyncio.get_running_loop().create_server(accept, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2]))
