"""The workers: they take keys while this process leads, and order another look at what failed."""

import asyncio
import logging
from datetime import timedelta

from teleport.errors import CompareFailed, TeleportError
from teleport.kube.errors import NoAnswer
from teleport_operator.controller import Controller
from teleport_operator.election import Election
from teleport_operator.metrics import OperatorMetrics, Result
from teleport_operator.objects import Key
from teleport_operator.patience import find_asked_wait
from teleport_operator.work_queue import WorkQueue

DOUBT = timedelta(seconds=1)
"""While the lease was not renewed in time, and nobody knows whether somebody else has it."""

logger = logging.getLogger(__name__)


class Worker:
    """Looks at one object after the other.

    Args:
        queue: of keys.
        controller: looks.
        election: whether this process may.
        metrics: counts.
    """

    def __init__(
        self, *, queue: WorkQueue[Key], controller: Controller, election: Election, metrics: OperatorMetrics
    ) -> None:
        self._queue = queue
        self._controller = controller
        self._election = election
        self._metrics = metrics

    async def run(self) -> None:
        """Work, for ever."""
        while True:
            await self._election.wait()
            key, waited = await self._queue.take()
            self._metrics.waited.observe(waited.total_seconds())
            try:
                if self._election.is_leading:
                    await self._look(key)
                else:
                    self._queue.add(key)
            finally:
                self._queue.done(key)
            # A look at what is as it should be waits for nothing, and thousands of them must not hold up all else.
            await asyncio.sleep(0 if self._election.is_leading else DOUBT.total_seconds())

    async def _look(self, key: Key) -> None:
        with self._metrics.observe():
            try:
                is_well = await self._controller.reconcile(key)
            except CompareFailed:
                is_well = False  # the newer copy is on its way
            except TeleportError as error:
                detail = error.detail if isinstance(error, NoAnswer) else error.message
                # Kubernetes names the object in its refusals, and the name may be the secret.
                logger.warning("an object of namespace %s: %s", key.namespace, detail.replace(key.name, "(its name)"))
                self._queue.pause(find_asked_wait(error))
                is_well = False
            except Exception:
                logger.exception("an object of namespace %s cannot be looked at", key.namespace)
                is_well = False
        self._metrics.count(Result.SUCCESS if is_well else Result.ERROR)
        if is_well:
            self._queue.succeed(key)
        else:
            self._queue.add_failed(key)
