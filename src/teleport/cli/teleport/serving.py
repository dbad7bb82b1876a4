"""What a process serves: an auth server, and answers to those who watch it."""

from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from prometheus_client import CollectorRegistry

from teleport.clock import Clock
from teleport.config.settings import Settings
from teleport.web.diagnostics import Diagnostics
from teleport.web.metrics import Metrics
from teleport.web.readiness import Readiness

if TYPE_CHECKING:
    from teleport.auth.server import AuthServer


async def serve(
    settings: Settings, stack: AsyncExitStack, *, readiness: Readiness, clock: Clock
) -> "AuthServer | None":
    """Start what the settings switch on; the stack ends it. Return the auth server if there is one.

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
    if not settings.auth.enabled:
        return None
    from teleport.auth.server import open_auth_server  # noqa: PLC0415 - an agent does not carry it in memory

    return await stack.enter_async_context(
        open_auth_server(settings, clock=clock, readiness=readiness, metrics=metrics)
    )
