"""The applications of an agent, put together: what its tunnels hand over to them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import replace
from datetime import timedelta
from typing import Any

from teleport.agent.apps.arrival import Arrival, EarlyConnection
from teleport.agent.apps.judge import AppJudge
from teleport.agent.apps.streams import AppRequests, OpenStreams
from teleport.agent.services import ORIGIN_LABEL
from teleport.api.host import Host
from teleport.clock import Clock
from teleport.config.settings import Target
from teleport.errors import BadParameter, ConnectionFailed, NotFound
from teleport.pki.assertion import Assertion
from teleport.tunnel.relay import Relay
from teleport.tunnel.stream import Stream
from teleport.web.call import Peer
from teleport.web.forwarding.connection import ForwardingConnection
from teleport.web.forwarding.limits import ForwardingLimits
from teleport.web.forwarding.targets import Target as Address
from teleport.web.forwarding.targets import parse_target

TO = "app"
"""What a stream's preface says that is for here."""
LIMITS = ForwardingLimits(idle=timedelta(seconds=75))
"""Longer than a proxy keeps an idle stream."""
IDLE_TIMEOUT = timedelta(hours=1)
MAX_ADDRESS = 64

Handlers = Mapping[str, Callable[[dict[str, Any], Stream], asyncio.Protocol]]


def serve_applications(
    apps: Sequence[Target], *, clock: Clock
) -> Callable[[Host], AbstractAsyncContextManager[Handlers]]:
    """Return what makes the handlers of streams, for each time that the process is a member.

    Args:
        apps: as they are configured.
        clock: the present.
    """

    @asynccontextmanager
    async def serve(host: Host) -> AsyncIterator[Handlers]:
        judge = AppJudge(host, clock=clock)
        streams = OpenStreams(judge)
        served = ServedApps(apps, judge=judge, streams=streams, clock=clock)
        sweeping = asyncio.create_task(streams.keep_sweeping())
        try:
            yield {TO: served.accept}
        finally:
            sweeping.cancel()
            with suppress(asyncio.CancelledError):
                await sweeping
            streams.cut_all()

    return serve


class ServedApps:
    """The applications that streams may lead to.

    Args:
        apps: as they are configured.
        judge: knows who may open them.
        streams: told of all that is open.
        clock: dates answers that are made here.
    """

    def __init__(self, apps: Sequence[Target], *, judge: AppJudge, streams: OpenStreams, clock: Clock) -> None:
        self._apps = {app.name: app for app in map(_declare, apps)}
        self._addresses: dict[str, Address] = {}
        self._judge = judge
        self._streams = streams
        self._clock = clock

    def accept(self, preface: dict[str, Any], stream: Stream) -> asyncio.Protocol:  # noqa: ARG002 - whoever calls has it
        """Return the protocol for a stream.

        Raises:
            BadParameter: the preface is not what a proxy sends.
        """
        values = [preface.get(key, "") for key in ("app", "remote_addr", "assertion")]
        if not all(isinstance(value, str) for value in values) or len(values[1]) > MAX_ADDRESS:
            raise BadParameter("the preface of a stream is malformed")
        name, remote_addr, assertion = values
        return Arrival(name, lambda: self._prepare(name, Peer(remote_addr), assertion))

    async def _prepare(self, name: str, peer: Peer, assertion: str) -> asyncio.Protocol:
        app = self._apps.get(name)
        if app is None:
            raise NotFound("this agent does not serve it")
        if name not in self._addresses:
            self._addresses[name] = parse_target(app.uri, insecure_skip_verify=app.insecure_skip_verify)
        address = self._addresses[name]
        if address.scheme == "tcp":
            return await self._prepare_relay(app, address, assertion)
        return await self._prepare_requests(app, address, peer)

    async def _prepare_requests(self, app: Target, address: Address, peer: Peer) -> asyncio.Protocol:
        early = EarlyConnection(address)
        await early.establish()
        requests = AppRequests(app, address, judge=self._judge, early=early)

        def forget() -> None:
            early.close()
            self._streams.remove(connection)

        def find_right() -> Assertion | None:
            return requests.admission.assertion if requests.admission is not None and connection.is_busy else None

        connection = ForwardingConnection(
            requests.choose, peer=peer, limits=LIMITS, clock=self._clock, on_closed=forget
        )
        self._streams.add(connection, app, find_right, connection.abort)
        return connection

    async def _prepare_relay(self, app: Target, address: Address, assertion: str) -> asyncio.Protocol:
        admission = await self._judge.admit(assertion, app)
        relay = Relay(idle_timeout=IDLE_TIMEOUT, on_ended=lambda: self._streams.remove(relay))
        try:
            await address.open(lambda: relay.right)
        except BaseException as error:
            relay.abort()
            if isinstance(error, OSError):
                raise ConnectionFailed(f"cannot connect: {type(error).__name__}") from error
            raise
        self._streams.add(relay, app, lambda: admission.assertion, relay.abort)
        return relay.left


def _declare(app: Target) -> Target:
    """Return an application with all labels that its heartbeats declare, except those that commands compute."""
    return replace(app, labels={**app.labels, ORIGIN_LABEL: "config"})
