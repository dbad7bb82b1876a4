"""The tunnels of one service: dialled one after another until there is one to every proxy, and kept so."""

import asyncio
import logging
import random
import secrets
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from teleport.agent.tunnels.control import ControlProtocol
from teleport.agent.tunnels.dialing import Dialed, Dialer
from teleport.agent.tunnels.pacing import SPREAD, SPREAD_OF_NEWS, Pacing
from teleport.agent.tunnels.place import Endpoints, TunnelAddress, resolve
from teleport.agent.tunnels.tracker import Claim, Tracker
from teleport.api.tunnels import Goodbye, GoodbyeReason, Proxies, build_control_preface
from teleport.clock import Clock
from teleport.errors import BadParameter, ConnectionFailed, TeleportError
from teleport.resources.address import Address
from teleport.tunnel.preface import PrefaceProtocol, render_preface
from teleport.tunnel.session import Session
from teleport.tunnel.stream import Stream

GREETING_SECONDS = 10.0
MAX_NAMED = 5
SHUNNED_FOR = timedelta(seconds=60)
"""For so long a proxy is left alone that has another tunnel of this very service: somebody else has our identity."""

logger = logging.getLogger(__name__)

StreamHandler = Callable[[dict[str, Any], Stream], asyncio.Protocol]
"""Takes a stream's preface and the stream, and returns the protocol that goes on; a `TeleportError` refuses it."""
Handlers = Mapping[str, StreamHandler]
"""Who takes a stream, by the `to` of its preface."""


@dataclass(eq=False, slots=True)
class _Tunnel:
    claim: Claim
    session: Session
    host: str
    is_up: bool = False


class TunnelPool:
    """Tunnels to all proxies behind one address.

    Args:
        address: where proxies are.
        build_dialer: makes a dialer for that address.
        handlers: who takes the streams that proxies open.
        report: told None when there is a tunnel to every proxy, and otherwise what is wrong; only when that changes.
        clock: the present.
        chance: draws what agents differ by.
        resolve: returns the hosts behind an address.
    """

    def __init__(
        self,
        *,
        address: TunnelAddress,
        build_dialer: Callable[[Address], Dialer],
        handlers: Handlers,
        report: Callable[[str | None], None],
        clock: Clock,
        chance: random.Random,
        resolve: Callable[[Address], Awaitable[list[str]]] = resolve,
    ) -> None:
        self._address = address
        self._build_dialer = build_dialer
        self._handlers = handlers
        self._report = report
        self._clock = clock
        self._tracker = Tracker()
        self._pacing = Pacing(chance)
        self._endpoints = Endpoints(chance)
        self._chance = chance
        self._resolve = resolve
        self._process = secrets.token_hex(16)
        self._dialers: dict[Address, Dialer] = {}
        self._tunnels: set[_Tunnel] = set()
        self._changed = asyncio.Event()
        self._due = 0.0
        """When the next dial may be, if one is needed."""
        self._problem: str | None = ""

    @property
    def proxies(self) -> frozenset[str]:
        """Return the host ids of the proxies that there is a tunnel to."""
        return frozenset(tunnel.claim.proxy for tunnel in self._tunnels if tunnel.is_up)

    @property
    def sessions(self) -> list[Session]:
        """Return all tunnels."""
        return [tunnel.session for tunnel in self._tunnels]

    async def run(self) -> None:
        """Dial until cancelled; the tunnels end then."""
        try:
            while True:
                delay = self._find_delay()
                if delay is not None and delay <= 0:
                    await self._dial()
                    continue
                self._changed.clear()
                with suppress(TimeoutError):
                    async with asyncio.timeout(delay):
                        await self._changed.wait()
        finally:
            for tunnel in list(self._tunnels):
                tunnel.session.close()

    def _find_delay(self) -> float | None:
        """Return in how many seconds to dial or to look again; None: when something changes."""
        now = self._clock.monotonic()
        if self._tracker.needs_dial(now):
            return self._due - now
        change = self._tracker.find_next_change()
        return None if change is None else max(change - now, 0.001)

    async def _dial(self) -> None:
        """Dial once, and choose the pause before the next time by what came of it."""
        try:
            address = await self._address.get()
            host = self._endpoints.choose(await self._resolve(address))
            dialer = self._dialers.setdefault(address, self._build_dialer(address))
            await self._try(dialer, host, address.port)
        except TeleportError as error:
            self._pacing.fail()
            logger.debug("a dial failed: %s", error)
            if not self.proxies:
                self._say(f"no tunnel to any proxy: {error.message}")
        now = self._clock.monotonic()
        self._due = now + self._pacing.choose_wait(self._tracker.count_wanted(now)).total_seconds()
        self._judge()

    async def _try(self, dialer: Dialer, host: str, port: int) -> None:
        try:
            dialed = await dialer.dial(host, port)
        except TeleportError:
            self._endpoints.failures[host] += 1
            raise
        del self._endpoints.failures[host]
        claim = self._tracker.claim(dialed.proxy, self._clock.monotonic())
        if claim is None:
            dialed.transport.abort()
            self._pacing.repeat()
            return
        await self._open(claim, dialed, host)
        self._pacing.succeed()
        logger.info("there is a tunnel to proxy %s, through %s", dialed.proxy, dialer.carrier.value)

    async def _open(self, claim: Claim, dialed: Dialed, host: str) -> None:
        """Begin a tunnel on a connection.

        Raises:
            ConnectionFailed: the proxy does not take it.
        """
        session = Session(
            is_dialer=True,
            accept=lambda _: PrefaceProtocol(self._choose),
            on_closed=lambda: self._forget(tunnel),
        )
        tunnel = _Tunnel(claim, session, host)
        control = ControlProtocol(
            on_proxies=self._on_proxies,
            on_goodbye=lambda goodbye: self._on_goodbye(tunnel, goodbye),
            abort=session.abort,
        )
        self._tunnels.add(tunnel)
        self._endpoints.tunnels[host] += 1
        try:
            dialed.transport.set_protocol(session)
            session.connection_made(dialed.transport)
            await session.open(render_preface(build_control_preface(self._process)), lambda: control)
            async with asyncio.timeout(GREETING_SECONDS):
                await control.greeted()
            tunnel.is_up = True
        except TimeoutError as error:
            raise ConnectionFailed("the proxy did not take the tunnel in time") from error
        finally:
            if not tunnel.is_up:
                session.abort()
                self._forget(tunnel)

    def _choose(self, preface: dict[str, Any], stream: Stream) -> asyncio.Protocol:
        handler = self._handlers.get(str(preface.get("to")))
        if handler is None:
            raise BadParameter("a proxy opened a stream to a service that is not here")
        return handler(preface, stream)

    def _forget(self, tunnel: _Tunnel) -> None:
        if tunnel not in self._tunnels:
            return
        self._tunnels.remove(tunnel)
        self._endpoints.tunnels[tunnel.host] -= 1
        self._tracker.release(tunnel.claim, self._clock.monotonic())
        if tunnel.is_up:
            error = tunnel.session.error
            logger.info("the tunnel to proxy %s is gone: %s", tunnel.claim.proxy, error or "the proxy closed it")
            self._hurry(SPREAD)

    def _on_proxies(self, message: Proxies) -> None:
        now = self._clock.monotonic()
        before = self._tracker.find_missing(now)
        self._tracker.mention(message.host_ids, now)
        if self._tracker.find_missing(now) - before:
            self._pacing.forget_repeats()
            self._hurry(SPREAD_OF_NEWS)
        self._judge()

    def _on_goodbye(self, tunnel: _Tunnel, goodbye: Goodbye) -> None:
        proxy = tunnel.claim.proxy
        if goodbye.reason is GoodbyeReason.DRAIN:
            logger.info("proxy %s is about to end", proxy)
            self._tracker.leave(tunnel.claim)
        else:
            logger.error(
                "another process has a tunnel to proxy %s with the identity of this one: were its files copied, or is "
                "it started twice?", proxy,
            )  # fmt: skip
            now = self._clock.monotonic()
            self._tracker.shun(tunnel.claim, now + SHUNNED_FOR.total_seconds() * self._chance.uniform(0.5, 1))
        self._hurry(SPREAD_OF_NEWS)

    def _hurry(self, spread: timedelta) -> None:
        """Let the next dial be soon, if one is needed."""
        now = self._clock.monotonic()
        moment = now + self._pacing.choose_spread(spread).total_seconds()
        self._due = moment if self._due <= now else min(self._due, moment)
        self._changed.set()

    def _judge(self) -> None:
        """Say whether all is well, as far as that can be told."""
        now = self._clock.monotonic()
        missing, wanted = self._tracker.find_missing(now), self._tracker.count_wanted(now)
        if missing and self._pacing.is_stuck(wanted):
            names = ", ".join(sorted(missing)[:MAX_NAMED])
            self._say(
                f"dials come to the same proxies again and again, and there is no tunnel to {len(missing)} of {wanted} "
                f"({names}): those are down, or the load balancer before them is sticky and must not be"
            )
        elif self.proxies:
            self._say(None)

    def _say(self, problem: str | None) -> None:
        if problem != self._problem:
            self._problem = problem
            self._report(problem)
