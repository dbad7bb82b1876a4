"""Work beside answering: repeat what is due, and follow what changes."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta

from teleport.backend.protocol import Backend
from teleport.errors import TeleportError

RETRY = timedelta(seconds=5)

logger = logging.getLogger(__name__)

Action = Callable[[], Awaitable[None]]


async def repeat(what: str, period: timedelta, action: Action) -> None:
    """Do something at once and every period, for ever; a failure is logged and tried again soon."""
    while True:
        try:
            await action()
        except TeleportError as error:
            logger.warning("%s: %s; trying again", what, error.message)
            await asyncio.sleep(RETRY.total_seconds())
        else:
            await asyncio.sleep(period.total_seconds())


async def follow(backend: Backend, prefix: str, on_change: Action) -> None:
    """Call an action at once and after every change below a prefix; a watch that breaks is begun anew."""
    while True:
        try:
            async with backend.watch(prefix) as events:
                await on_change()
                async for _ in events:
                    await on_change()
        except TeleportError as error:
            logger.warning("watching %s: %s; beginning anew", prefix, error.message)
        await asyncio.sleep(RETRY.total_seconds())
