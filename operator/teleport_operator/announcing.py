"""Tells people of what happens to objects: Events, posted one after the other beside the work that matters."""

import asyncio
import logging
from collections.abc import Callable, Iterable
from datetime import timedelta

from teleport.clock import Clock
from teleport.errors import TeleportError
from teleport.kube.custom_objects import RawObject
from teleport.kube.object_events import ObjectEvent, ObjectEvents
from teleport_operator.patience import find_asked_wait

MAX_WAITING = 10_000
PAUSE = timedelta(milliseconds=500)

logger = logging.getLogger(__name__)


class Announcing:
    """Events are a courtesy: nothing waits for one, and what cannot be posted is not kept.

    Args:
        events: of the cluster.
        is_busy: tells whether there is work that matters more; Events wait for its end.
        clock: when something happened.
    """

    def __init__(self, events: ObjectEvents, *, is_busy: Callable[[], bool], clock: Clock) -> None:
        self._events = events
        self._is_busy = is_busy
        self._clock = clock
        self._waiting: asyncio.Queue[tuple[RawObject, ObjectEvent]] = asyncio.Queue(MAX_WAITING)

    def tell(self, raw: RawObject, events: Iterable[ObjectEvent]) -> None:
        """Let Events about an object be posted."""
        metadata = {key: raw["metadata"][key] for key in ("namespace", "name", "uid")}
        about = {"apiVersion": raw["apiVersion"], "kind": raw["kind"], "metadata": metadata}
        for event in events:
            if self._waiting.full():
                logger.warning("too many Events wait to be written; one (%s) is dropped", event.reason)
                return
            self._waiting.put_nowait((about, event))

    async def run(self) -> None:
        """Post them, for ever."""
        while True:
            raw, event = await self._waiting.get()
            while self._is_busy() and not self._waiting.full():  # noqa: ASYNC110 - nobody tells when it is over
                await asyncio.sleep(PAUSE.total_seconds())
            try:
                await self._events.post(raw, event, self._clock.now())
            except TeleportError as error:
                logger.warning("an Event (%s) could not be written: %s", event.reason, error.message)
                await asyncio.sleep(find_asked_wait(error).total_seconds())
