"""One process: an auth server, an agent or both, what its watchers may ask, and how it ends."""

import asyncio
import logging
import os
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager, suppress
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING

from teleport.api.way import Way, choose_way
from teleport.clock import Clock, SystemClock
from teleport.config.settings import Settings
from teleport.errors import BadParameter
from teleport.web.readiness import Readiness

if TYPE_CHECKING:
    from teleport.agent.server import Agent
    from teleport.cli.teleport.serving import Serving

logger = logging.getLogger(__name__)


class Ending(Enum):
    """Why a process ends."""

    STOP = "stop"
    RESTART = "restart"


async def run_process(settings: Settings) -> Ending:
    """Run everything that the settings switch on, until a signal ends it.

    SIGTERM and SIGINT end the process gracefully; SIGHUP does the same and asks for a new start.

    Raises:
        TeleportError: something cannot run; everything else was stopped first.
    """
    for warning in settings.warnings:
        logger.warning("%s", warning)
    ending = _listen_to_signals()
    clock = SystemClock()
    readiness = Readiness(clock)
    async with AsyncExitStack() as stack:
        stack.enter_context(_pid_file(settings.pid_file))
        serving = None
        if settings.auth.enabled or settings.is_proxy or settings.diag_addr is not None:
            # Imported here and not above: an idle agent carries in memory what it uses, and nothing else.
            from teleport.cli.teleport.serving import serve  # noqa: PLC0415

            serving = await serve(settings, stack, readiness=readiness, clock=clock)
        return await _until(ending, await _build_agent(settings, serving, stack, readiness=readiness, clock=clock))


async def _build_agent(
    settings: Settings, serving: "Serving | None", stack: AsyncExitStack, *, readiness: Readiness, clock: Clock
) -> "Agent | None":
    """Return the agent for the services of this process, or None if it has none."""
    if not settings.services:
        return None
    from teleport.agent.server import Agent  # noqa: PLC0415 - an auth server does not carry it in memory
    from teleport.agent.state_choice import open_state  # noqa: PLC0415 - the same
    from teleport.cli.teleport.joiners import build_joiner  # noqa: PLC0415 - the same
    from teleport.cli.teleport.tunnel_services import build_tunnel_services  # noqa: PLC0415 - the same

    auth = serving.auth if serving is not None else None
    way: Way | None = auth.local_address if auth is not None else _choose_way(settings)
    if way is None:
        raise BadParameter("the cluster's address is missing: set teleport.proxy_server or teleport.auth_server")
    runners = list(serving.runners) if serving is not None else []
    runners += build_tunnel_services(settings, os.environ, readiness=readiness, clock=clock)
    return Agent(
        settings,
        way=way,
        joiner=build_joiner(settings, auth, way, clock),
        states=await stack.enter_async_context(open_state(settings.data_dir, os.environ, clock=clock)),
        readiness=readiness,
        clock=clock,
        runners=runners,
    )


def _choose_way(settings: Settings) -> Way | None:
    return choose_way(settings.auth_server, settings.proxy_server, is_insecure=settings.is_insecure)


async def _until(ending: asyncio.Future[Ending], agent: "Agent | None") -> Ending:
    """Return how the process shall end; an agent that cannot go on raises what is wrong."""
    if agent is None:
        return await ending
    life = asyncio.create_task(agent.run())
    try:
        await asyncio.wait((ending, life), return_when=asyncio.FIRST_COMPLETED)
        if life.done():
            await life
        return await ending
    finally:
        life.cancel()
        with suppress(asyncio.CancelledError):
            await life


def _listen_to_signals() -> asyncio.Future[Ending]:
    loop = asyncio.get_running_loop()
    ending: asyncio.Future[Ending] = loop.create_future()

    def end(how: Ending, name: str) -> None:
        if not ending.done():
            logger.info("%s: finishing what is in flight", name)
            ending.set_result(how)

    loop.add_signal_handler(signal.SIGTERM, end, Ending.STOP, "SIGTERM")
    loop.add_signal_handler(signal.SIGINT, end, Ending.STOP, "SIGINT")
    loop.add_signal_handler(signal.SIGHUP, end, Ending.RESTART, "SIGHUP")
    return ending


@contextmanager
def _pid_file(path: Path | None) -> Iterator[None]:
    """Keep the process's id in a file for the time of a block."""
    if path is None:
        yield
        return
    try:
        path.write_text(f"{os.getpid()}\n", encoding="ascii")
    except OSError as error:
        raise BadParameter(f"cannot write the pid file {path}: {error.strerror}") from error
    try:
        yield
    finally:
        path.unlink(missing_ok=True)
