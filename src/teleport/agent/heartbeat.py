"""The heartbeat: what the process serves, said at once, about every six minutes, and early when it changes."""

import asyncio
import logging
import secrets
from collections.abc import Callable
from datetime import timedelta

from teleport.agent.backoff import Backoff, sleep_about
from teleport.api.client import Client
from teleport.api.messages import Document, GoodbyeRequest, HeartbeatRequest
from teleport.api.operations import GOODBYE, HEARTBEAT
from teleport.errors import MembershipEnded, TeleportError
from teleport.version import VERSION

PERIOD = timedelta(seconds=400)
"""Two thirds of a record's life, as in the original: one heartbeat may be lost."""
RETRY = timedelta(seconds=5)
GOODBYE_TIMEOUT = timedelta(seconds=3)

logger = logging.getLogger(__name__)


class Heartbeat:
    """Keeps the records of this process alive.

    Args:
        client: to auth.
        hostname: of this host.
        build_records: returns what the process declares at present.
        report: told None when auth took a heartbeat, and what is wrong when it did not.
    """

    def __init__(
        self,
        *,
        client: Client,
        hostname: str,
        build_records: Callable[[], list[Document]],
        report: Callable[[str | None], None],
    ) -> None:
        self._client = client
        self._hostname = hostname
        self._build_records = build_records
        self._report = report
        self._process = secrets.token_hex(16)
        """Tells this run of the process from others of its host: a late goodbye ends no records of the next one."""
        self._changed = asyncio.Event()
        self._under_way: asyncio.Future[None] | None = None

    def announce_early(self) -> None:
        """Do not wait for the period: something changed."""
        self._changed.set()

    async def run(self) -> None:
        """Send heartbeats until cancelled.

        Raises:
            MembershipEnded: auth takes none from this process any more.
        """
        backoff = Backoff(first=RETRY)
        while True:
            self._changed.clear()
            try:
                self._under_way = asyncio.ensure_future(self._send())
                await asyncio.shield(self._under_way)
            except MembershipEnded:
                raise
            except TeleportError as error:
                self._report(f"heartbeat failed: {error.message}")
                await backoff.wait()
            else:
                self._report(None)
                backoff.reset()
                await self._wait()

    async def say_goodbye(self) -> None:
        """Let the records vanish at once; if that fails they do so by themselves.

        A heartbeat that is under way ends first, or auth might take it after the goodbye.
        """
        try:
            async with asyncio.timeout(GOODBYE_TIMEOUT.total_seconds()):
                if self._under_way is not None:
                    await asyncio.gather(self._under_way, return_exceptions=True)
                await self._client.call(GOODBYE, GoodbyeRequest(process=self._process))
        except (TeleportError, TimeoutError) as error:
            logger.info("goodbye failed, the records expire by themselves: %s", error)

    async def _send(self) -> None:
        request = HeartbeatRequest(
            hostname=self._hostname,
            version=VERSION,
            servers=tuple(self._build_records()),
            process=self._process,
        )
        await self._client.call(HEARTBEAT, request)

    async def _wait(self) -> None:
        """Wait for the period, shortened by up to a seventh so that agents spread out, or for a change."""
        change = asyncio.ensure_future(self._changed.wait())
        period = asyncio.ensure_future(sleep_about(PERIOD, at_least=6 / 7))
        try:
            await asyncio.wait((change, period), return_when=asyncio.FIRST_COMPLETED)
        finally:
            change.cancel()
            period.cancel()
