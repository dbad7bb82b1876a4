import asyncio
import logging
import threading
from collections.abc import Sequence
from datetime import timedelta

import pytest

from teleport.backend import group_writer
from teleport.backend.group_writer import CROWD, MAX_GROUP, GroupWriter, Result
from teleport.backend.transaction import Outcome, Transaction
from teleport.errors import CompareFailed, StorageError, Unavailable

NOTHING = Transaction((), ())


class Disk:
    """Writes nothing, but only as fast as a test lets it; remembers the size of each group."""

    def __init__(self) -> None:
        self.groups: list[int] = []
        self.published: list[int] = []
        self.refuse: set[int] = set()
        self.broken = False
        self.finished = False
        self.asked = threading.Event()
        self.may_write = threading.Event()
        self._revision = 0

    def write(self, transactions: Sequence[Transaction]) -> Sequence[Result]:
        self.asked.set()
        self.may_write.wait(10)
        self.groups.append(len(transactions))
        if self.broken:
            raise ZeroDivisionError
        return [self._result() for _ in transactions]

    def _result(self) -> Result:
        self._revision += 1
        return CompareFailed("no") if self._revision in self.refuse else Outcome(self._revision, ())

    def finish(self) -> None:
        self.finished = True

    def publish(self, outcome: Outcome) -> None:
        self.published.append(outcome.revision)


def start(disk: Disk) -> GroupWriter:
    return GroupWriter(write=disk.write, finish=disk.finish, publish=disk.publish)


async def submit(writer: GroupWriter, count: int) -> list["asyncio.Future[Outcome]"]:
    tasks: list[asyncio.Future[Outcome]] = [asyncio.ensure_future(writer.submit(NOTHING)) for _ in range(count)]
    await asyncio.sleep(0)
    return tasks


async def test_what_waits_meanwhile_is_one_group() -> None:
    disk = Disk()
    writer = start(disk)
    first = await submit(writer, 1)
    await asyncio.to_thread(disk.asked.wait, 10)
    rest = await submit(writer, 100)
    disk.may_write.set()
    await asyncio.gather(*first, *rest)
    await writer.close()
    assert disk.groups == [1, 100]


async def test_a_group_has_at_most_256_transactions() -> None:
    disk = Disk()
    writer = start(disk)
    first = await submit(writer, 1)
    await asyncio.to_thread(disk.asked.wait, 10)
    rest = await submit(writer, MAX_GROUP + 1)
    disk.may_write.set()
    await asyncio.gather(*first, *rest)
    await writer.close()
    assert disk.groups == [1, MAX_GROUP, 1]


async def test_a_refusal_fails_alone_and_outcomes_are_published_in_order() -> None:
    disk = Disk()
    disk.refuse = {3}
    disk.may_write.set()
    writer = start(disk)
    results = await asyncio.gather(*(await submit(writer, 5)), return_exceptions=True)
    await writer.close()
    assert isinstance(results[2], CompareFailed)
    assert disk.published == [1, 2, 4, 5]


async def test_a_defect_in_the_writer_fails_its_group_and_not_the_thread(caplog: pytest.LogCaptureFixture) -> None:
    disk = Disk()
    disk.broken = True
    disk.may_write.set()
    writer = start(disk)
    with caplog.at_level(logging.ERROR), pytest.raises(StorageError, match="see the log"):
        await writer.submit(NOTHING)
    assert "ZeroDivisionError" in caplog.text
    disk.broken = False
    await writer.submit(NOTHING)
    await writer.close()


async def test_one_transaction_too_many_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_writer, "MAX_WAITING", 10)
    disk = Disk()
    writer = start(disk)
    tasks = await submit(writer, 10)
    with pytest.raises(Unavailable, match="10 commits behind"):
        await writer.submit(NOTHING)
    disk.may_write.set()
    await asyncio.gather(*tasks)
    await writer.submit(NOTHING)
    await writer.close()


async def test_a_cancelled_caller_is_still_published() -> None:
    disk = Disk()
    writer = start(disk)
    tasks = await submit(writer, 2)
    tasks[0].cancel()
    disk.may_write.set()
    await tasks[1]
    await writer.close()
    assert disk.published == [1, 2]


async def test_close_finishes_what_waits_and_refuses_the_rest() -> None:
    disk = Disk()
    writer = start(disk)
    tasks = await submit(writer, 300)
    closing = asyncio.ensure_future(writer.close())
    await asyncio.sleep(0)
    with pytest.raises(Unavailable, match="closed"):
        await writer.submit(NOTHING)
    disk.may_write.set()
    await asyncio.gather(*tasks, closing, writer.close())
    assert sum(disk.groups) == 300
    assert disk.finished


async def test_one_who_commits_alone_waits_for_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(group_writer, "GATHERING", timedelta(days=1))
    disk = Disk()
    disk.may_write.set()
    writer = start(disk)
    for _ in range(3):
        await asyncio.gather(*await submit(writer, 1))
    await writer.close()
    assert disk.groups == [1, 1, 1]


@pytest.mark.parametrize(("count", "waits"), [(CROWD - 1, True), (CROWD, False), (CROWD + 1, False)])
async def test_after_several_at_a_time_a_few_wait_for_others(
    monkeypatch: pytest.MonkeyPatch, count: int, *, waits: bool
) -> None:
    monkeypatch.setattr(group_writer, "GATHERING", timedelta(days=1))
    disk = Disk()
    disk.may_write.set()
    writer = start(disk)
    await asyncio.gather(*await submit(writer, 2))
    following = await submit(writer, count)
    if waits:
        assert disk.groups == [2]
        await writer.close()
    await asyncio.gather(*following)
    await writer.close()
    assert disk.groups == [2, count]


async def test_who_waited_in_vain_is_alone_again(monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk()
    disk.may_write.set()
    writer = start(disk)
    await asyncio.gather(*await submit(writer, 2))
    monkeypatch.setattr(group_writer, "GATHERING", timedelta())
    await asyncio.gather(*await submit(writer, 1))
    monkeypatch.setattr(group_writer, "GATHERING", timedelta(days=1))
    await asyncio.gather(*await submit(writer, 1))
    await writer.close()
    assert disk.groups == [2, 1, 1]
