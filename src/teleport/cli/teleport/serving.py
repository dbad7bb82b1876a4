"""What a process serves: an auth server, a proxy, and answers to those who watch it."""

from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from teleport.api.host import Runner
from teleport.clock import Clock
from teleport.config.settings import Settings
from teleport.web.diagnostics import Diagnostics
from teleport.web.metrics import Metrics
from teleport.web.readiness import Readiness

if TYPE_CHECKING:
    from teleport.auth.server import AuthServer


@dataclass(frozen=True, slots=True)
class Serving:
    """What has been started, and what is to run in the process once it has joined."""

    auth: "AuthServer | None"
    runners: tuple[Runner, ...]


async def serve(settings: Settings, stack: AsyncExitStack, *, readiness: Readiness, clock: Clock) -> Serving:
    """Start what the settings switch on; the stack ends it.

    Raises:
        TeleportError: something cannot be started.
    """
    registry = CollectorRegistry()
    metrics = Metrics(registry)
    metrics.follow(readiness)
    if settings.diag_addr is not None:
        diagnostics = Diagnostics(
            host=settings.diag_addr.host,
            port=settings.diag_addr.port,
            readiness=readiness,
            registry=registry,
            clock=clock,
        )
        await diagnostics.start()
        stack.push_async_callback(diagnostics.stop)
    auth = await _open_auth(settings, stack, readiness=readiness, clock=clock, metrics=metrics)
    return Serving(auth, _build_runners(settings, readiness=readiness, clock=clock, metrics=metrics))


async def _open_auth(
    settings: Settings, stack: AsyncExitStack, *, readiness: Readiness, clock: Clock, metrics: Metrics
) -> "AuthServer | None":
    if not settings.auth.enabled:
        return None
    from teleport.auth.server import open_auth_server  # noqa: PLC0415 - an agent does not carry it in memory

    return await stack.enter_async_context(
        open_auth_server(settings, clock=clock, readiness=readiness, metrics=metrics)
    )


def _build_runners(settings: Settings, *, readiness: Readiness, clock: Clock, metrics: Metrics) -> tuple[Runner, ...]:
    """Return the services that do more than to say that they are there."""
    if not settings.is_proxy:
        return ()
    from teleport.proxy.server import ProxyServer  # noqa: PLC0415 - others do not carry it in memory

    return (ProxyServer(settings, clock=clock, readiness=readiness, metrics=metrics),)
