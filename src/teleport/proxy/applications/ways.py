"""Ways to an application: a stream through the tunnel of any agent that serves it; the next one where one fails."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Any, Protocol

from teleport.clock import Clock
from teleport.errors import ConnectionFailed, TeleportError
from teleport.tunnel.errors import TunnelClosed
from teleport.tunnel.preface import PrefaceProtocol, render_preface
from teleport.tunnel.stream import Stream
from teleport.web.forwarding.destination import Upstream

ANSWER_TIMEOUT = timedelta(seconds=10)
"""The agent connects to the application before it answers."""
AVOIDED = timedelta(seconds=10)
"""So long after a failure an agent is tried after the others."""
MAX_AVOIDED = 10_000

Factory = Callable[[], asyncio.Protocol]


class Tunnel(Protocol):
    """As much of a tunnel's session as is needed here."""

    @property
    def is_usable(self) -> bool:
        """Return whether a stream may be opened."""
        ...

    async def open(self, preface: bytes, protocol_factory: Factory) -> Stream:
        """Open a stream."""
        ...


FindTunnel = Callable[[str], Tunnel | None]
"""Returns the tunnel of a host's application service, by the host's id."""


class Ways:
    """All ways to all applications.

    Args:
        find_tunnel: finds the tunnel of an agent.
        clock: the present.
    """

    def __init__(self, find_tunnel: FindTunnel, *, clock: Clock) -> None:
        self._find_tunnel = find_tunnel
        self._clock = clock
        self._failed: OrderedDict[str, datetime] = OrderedDict()
        self._random = secrets.SystemRandom()

    def has_any(self, host_ids: Iterable[str]) -> bool:
        """Tell whether this proxy has a tunnel to one of the agents."""
        return any(self._is_usable(host_id) for host_id in host_ids)

    def list_upstreams(
        self, app: str, host_ids: Iterable[str], *, remote_addr: str, assertion: str = ""
    ) -> tuple[Upstream, ...]:
        """Return the ways to an application in the order in which they are tried: at random, the healthy ones first.

        Args:
            app: its name.
            host_ids: the agents at which the user may open it.
            remote_addr: whose request it is.
            assertion: for an application that does not speak HTTP, by which its agent knows the user.
        """
        preface = {"to": "app", "app": app, "remote_addr": remote_addr}
        rendered = render_preface(preface | ({"assertion": assertion} if assertion else {}))
        order = sorted((self._rank(f"{host_id}/{app}", host_id), host_id) for host_id in host_ids)
        return tuple(self._build(app, host_id, rendered) for _, host_id in order)

    def _build(self, app: str, host_id: str, preface: bytes) -> Upstream:
        key = f"{host_id}/{app}"

        async def open_way(factory: Factory) -> None:
            tunnel = self._find_tunnel(host_id)
            if tunnel is None:
                raise ConnectionFailed(f"this proxy has no tunnel to agent {host_id}")
            try:
                await open_stream(tunnel, preface, factory)
            except TeleportError:
                self._avoid(key)
                raise
            self._failed.pop(key, None)

        return Upstream(key, open_way)

    def _rank(self, key: str, host_id: str) -> tuple[bool, bool, float]:
        failed = self._failed.get(key)
        is_avoided = failed is not None and self._clock.now() - failed < AVOIDED
        return not self._is_usable(host_id), is_avoided, self._random.random()

    def _avoid(self, key: str) -> None:
        self._failed[key] = self._clock.now()
        self._failed.move_to_end(key)
        if len(self._failed) > MAX_AVOIDED:
            self._failed.popitem(last=False)

    def _is_usable(self, host_id: str) -> bool:
        tunnel = self._find_tunnel(host_id)
        return tunnel is not None and tunnel.is_usable


async def open_stream(tunnel: Tunnel, preface: bytes, factory: Factory) -> None:
    """Open a stream, and give it to a protocol when the agent has said that the application is there.

    Raises:
        ConnectionFailed: the agent refuses and says why, does not answer, or the tunnel breaks.
        TunnelOverloaded: the tunnel or the agent takes no more streams.
    """
    answer = _Answer(factory)
    stream = await tunnel.open(preface, lambda: answer)
    try:
        await answer.accepted
    except BaseException:
        stream.abort()
        raise


class _Answer(PrefaceProtocol):
    """Reads what the agent says first, and steps aside."""

    def __init__(self, factory: Factory) -> None:
        super().__init__(self._take, ANSWER_TIMEOUT)
        self._factory = factory
        self.accepted: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if not self.accepted.done():
            self.accepted.set_exception(exc or TunnelClosed("the agent has not answered"))

    def _take(self, document: dict[str, Any], _: Stream) -> asyncio.Protocol:
        if document.get("ok") is not True:
            reason = str(document.get("error", "no reason"))[:200]
            error = ConnectionFailed(f"the agent cannot reach the application: {ascii(reason)[1:-1]}")
            if not self.accepted.done():
                self.accepted.set_exception(error)
            raise error
        protocol = self._factory()
        if not self.accepted.done():
            self.accepted.set_result(None)
        return protocol
