"""A thread that writes in groups: whatever waits while one group becomes durable forms the next one."""

import asyncio
import contextlib
import logging
import queue
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from teleport.backend.transaction import Outcome, Transaction
from teleport.errors import StorageError, TeleportError, Unavailable

GATHERING = timedelta(milliseconds=10)
"""So long a commit waits for others, where several come at a time: a group costs much the same for one and for ten."""
CROWD = 8
"""So many do not wait for further ones."""
MAX_GROUP = 256
MAX_WAITING = 16_384
"""How many transactions may wait; a store that is so far behind refuses further ones at once."""

_log = logging.getLogger(__name__)

Result = Outcome | TeleportError


@dataclass(frozen=True, slots=True)
class _Job:
    transaction: Transaction
    done: asyncio.Future[Outcome]


class GroupWriter:
    """Takes transactions from the event loop to a thread of its own, and their outcomes back.

    Args:
        write: does a group of transactions durably; returns one result for each. It runs on the thread.
        finish: is called on the thread after the last group, and raises nothing.
        publish: is called on the loop with the outcome of every transaction, in the order in which they were done.
    """

    def __init__(
        self,
        *,
        write: Callable[[Sequence[Transaction]], Sequence[Result]],
        finish: Callable[[], None],
        publish: Callable[[Outcome], None],
    ) -> None:
        self._write = write
        self._finish = finish
        self._publish = publish
        self._loop = asyncio.get_running_loop()
        self._arrived: list[_Job] = []
        self._jobs: queue.SimpleQueue[_Job | None] = queue.SimpleQueue()
        self._waiting = 0
        self._is_busy = False
        """Several commits came at a time lately."""
        self._finished: asyncio.Future[None] = self._loop.create_future()
        self._closing = False
        threading.Thread(target=self._run, name="backend-writer", daemon=True).start()

    async def submit(self, transaction: Transaction) -> Outcome:
        """Wait until the transaction is durable. One that was submitted is done even if nobody waits any more.

        Raises:
            CompareFailed: a condition does not hold.
            Unavailable: too many wait already, the writer is closed, or the store does not answer.
            StorageError: the store is damaged.
        """
        if self._closing:
            raise Unavailable("the store is closed")
        if self._waiting >= MAX_WAITING:
            raise Unavailable(f"the store is {MAX_WAITING} commits behind")
        self._waiting += 1
        done: asyncio.Future[Outcome] = self._loop.create_future()
        if not self._arrived:
            self._loop.call_later(GATHERING.total_seconds() if self._is_busy else 0, self._pass_on)
        self._arrived.append(_Job(transaction, done))
        if len(self._arrived) == CROWD:
            self._loop.call_soon(self._pass_on)
        return await done

    async def close(self) -> None:
        """Do what was submitted, then end the thread."""
        if not self._closing:
            self._closing = True
            self._pass_on()
            self._jobs.put(None)
        await asyncio.shield(self._finished)

    def _pass_on(self) -> None:
        """Give the thread what has gathered: to wake it for each costs more than what it then does."""
        self._is_busy = self._waiting > 1
        for job in self._arrived:
            self._jobs.put(job)
        self._arrived.clear()

    def _run(self) -> None:
        while group := self._take_group():
            results = self._write_safely([job.transaction for job in group])
            self._report(self._deliver, group, results)
        self._finish()
        self._report(self._finished.set_result, None)

    def _report(self, callback: Callable[..., None], *values: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has ended, and with it all who waited
            self._loop.call_soon_threadsafe(callback, *values)

    def _take_group(self) -> list[_Job]:
        """Wait for a first transaction and take what else is there; an empty group is the end."""
        group: list[_Job] = []
        job = self._jobs.get()
        while job is not None:
            group.append(job)
            if len(group) == MAX_GROUP or self._jobs.empty():
                return group
            job = self._jobs.get()
        if group:
            self._jobs.put(None)  # the end comes after this group
        return group

    def _write_safely(self, transactions: Sequence[Transaction]) -> Sequence[Result]:
        try:
            return self._write(transactions)
        except Exception:  # noqa: BLE001 - a thread that died of a defect would leave every caller waiting
            _log.exception("the writer of the store failed")
            return [StorageError("the writer of the store failed; see the log") for _ in transactions]

    def _deliver(self, group: Sequence[_Job], results: Sequence[Result]) -> None:
        self._waiting -= len(group)
        for job, result in zip(group, results, strict=True):
            if isinstance(result, Outcome):
                self._publish(result)
            if job.done.done():  # its caller was cancelled
                continue
            if isinstance(result, Outcome):
                job.done.set_result(result)
            else:
                job.done.set_exception(result)
