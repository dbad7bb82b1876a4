"""The way to auth through a proxy: a few connections that are kept, since each costs the proxy and auth something."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager

from teleport.api.channel import REQUEST_TIMEOUT, Answer, Channel
from teleport.api.dialing import dial_auth
from teleport.api.direct import open_direct_channel
from teleport.api.exchange import Exchange
from teleport.api.trust import ServerTrust
from teleport.api.way import ThroughProxy
from teleport.errors import ConnectionFailed, TrustError

MAX_CONNECTIONS = 4
KEPT = 1
"""So many connections stay when nobody asks anything."""
KEEP_ALIVE_SECONDS = 90.0
"""Less than auth keeps them for a member."""


class ProxiedChannel:
    """Connections to auth through a proxy.

    Args:
        way: where proxies are.
        trust: how auth is recognised.
    """

    def __init__(self, way: ThroughProxy, trust: ServerTrust) -> None:
        self._way = way
        self._trust = trust
        self._turns = asyncio.Semaphore(MAX_CONNECTIONS)
        self._idle: list[_Kept] = []

    async def connect(self) -> None:
        """Make a connection now, and keep it for the first request.

        Raises:
            TrustError: the proxy, or auth behind it, is not the one that is meant.
            ConnectionFailed: one of them cannot be reached.
        """
        self._keep(await self._dial())

    async def send(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send a request and return the answer.

        Raises:
            TrustError: the proxy, or auth behind it, is not the one that is meant; nothing was sent to it.
            ConnectionFailed: one of them cannot be reached, broke off, or answered too much.
        """
        try:
            async with asyncio.timeout(REQUEST_TIMEOUT.total_seconds()), self._turns:
                kept = self._take_idle() or await self._dial()
                answer = await kept.exchange.ask(method, path, headers=headers, body=body)
        except TimeoutError as error:
            raise ConnectionFailed(f"cannot talk to auth through proxy {self._way}: no answer in time") from error
        self._keep(kept)
        return answer

    def close(self) -> None:
        """End the connections that nobody uses."""
        while self._idle:
            self._idle.pop().close()

    async def _dial(self) -> "_Kept":
        exchange = Exchange(str(self._way))
        context = self._trust.build_context()
        await dial_auth(self._way, self._trust, lambda: exchange)
        return _Kept(exchange, context)

    def _take_idle(self) -> "_Kept | None":
        while self._idle:
            kept = self._idle.pop()
            kept.stop_waiting()
            if kept.exchange.is_usable and kept.context is self._trust.build_context():
                return kept
            kept.close()
        return None

    def _keep(self, kept: "_Kept") -> None:
        if kept.exchange.is_usable and len(self._idle) < KEPT:
            kept.wait()
            self._idle.append(kept)
        else:
            kept.close()


class _Kept:
    """A connection between two requests.

    Args:
        exchange: the connection.
        context: by which it was made; where trust is another one now, it is not used any more.
    """

    def __init__(self, exchange: Exchange, context: ssl.SSLContext) -> None:
        self.exchange = exchange
        self.context = context
        self._timer: asyncio.TimerHandle | None = None

    def wait(self) -> None:
        """Close the connection after a while."""
        self._timer = asyncio.get_running_loop().call_later(KEEP_ALIVE_SECONDS, self.exchange.close)

    def stop_waiting(self) -> None:
        """Leave it open."""
        if self._timer is not None:
            self._timer.cancel()

    def close(self) -> None:
        """End it."""
        self.stop_waiting()
        self.exchange.close()


class UncertainChannel:
    """Finds out, when it is asked first, whether an address is a proxy's or auth's own.

    Args:
        proxied: what it is if it is a proxy's.
        direct: what it is otherwise.
    """

    def __init__(self, proxied: ProxiedChannel, direct: Channel) -> None:
        self._proxied = proxied
        self._direct = direct
        self._found: Channel | None = None

    async def send(self, method: str, path: str, *, headers: Mapping[str, str], body: bytes | None) -> Answer:
        """Send a request and return the answer.

        Raises:
            TrustError: neither is what is meant; nothing was sent.
            ConnectionFailed: neither can be reached.
        """
        if self._found is None:
            try:
                await self._proxied.connect()
            except (TrustError, ConnectionFailed) as error:
                return await self._try_direct(error, method, path, headers=headers, body=body)
            self._found = self._proxied
        return await self._found.send(method, path, headers=headers, body=body)

    async def _try_direct(
        self,
        failure: TrustError | ConnectionFailed,
        method: str,
        path: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None,
    ) -> Answer:
        try:
            answer = await self._direct.send(method, path, headers=headers, body=body)
        except (TrustError, ConnectionFailed) as error:
            raise type(error)(f"as a proxy: {failure.message}; as an auth server: {error.message}") from error
        self._found = self._direct
        return answer


@asynccontextmanager
async def open_proxied_channel(way: ThroughProxy, trust: ServerTrust) -> AsyncIterator[Channel]:
    """Have a channel for the time of a block; connections are made when they are needed."""
    proxied = ProxiedChannel(way, trust)
    try:
        if way.may_be_auth:
            async with open_direct_channel(way.proxy, trust) as direct:
                yield UncertainChannel(proxied, direct)
        else:
            yield proxied
    finally:
        proxied.close()
