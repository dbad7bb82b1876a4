import asyncio
import json
import resource
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from support.backend import SteeredBackend
from support.clock import FakeClock
from teleport.auth import audit
from teleport.auth.audit import AuditLog, EventType, append
from teleport.backend.protocol import Put
from teleport.errors import StorageError

EVENT = EventType("test.event", "T000I")
RETENTION = timedelta(days=90)


class Written:
    """An audit log whose file and store a test looks at."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.clock = FakeClock()
        self.backend = SteeredBackend(clock=self.clock)
        self.reports: asyncio.Queue[str | None] = asyncio.Queue()
        self.log = AuditLog(
            backend=self.backend,
            path=path,
            clock=self.clock,
            retention=RETENTION,
            report=self.reports.put_nowait,
        )

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.log.run())
        await asyncio.sleep(0)  # it begins to wait
        try:
            yield
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def next_report(self) -> str | None:
        async with asyncio.timeout(10):
            return await self.reports.get()

    def read_lines(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.path.read_text().splitlines()]


@pytest.fixture
def written(tmp_path: Path) -> Written:
    return Written(tmp_path / "audit.jsonl")


async def test_an_event_is_in_the_store_and_then_a_line_of_the_file(written: Written) -> None:
    async with written.running():
        await written.log.emit(EVENT, success=True, host_id="host")
        assert await written.next_report() is None
    (line,) = written.read_lines()
    (item,) = await written.backend.range("audit/")
    assert json.loads(item.value) == line
    assert line == {
        "event": "test.event",
        "code": "T000I",
        "time": "2026-01-01T00:00:00Z",
        "uid": line["uid"],
        "success": True,
        "host_id": "host",
    }
    assert item.expires == written.clock.now() + RETENTION


def test_what_is_empty_is_left_out_and_what_is_false_is_not(written: Written) -> None:
    line = json.loads(written.log.build(EVENT, success=False, attempts=0, name="", labels={}, roles=(), when=None).line)
    assert {"success": False, "attempts": 0}.items() <= line.items()
    assert not {"name", "labels", "roles", "when"} & set(line)


def test_two_events_of_one_instant_are_two(written: Written) -> None:
    assert written.log.build(EVENT).put.key != written.log.build(EVENT).put.key


async def test_an_event_and_what_it_tells_of_are_one_commit(written: Written) -> None:
    await written.log.emit(EVENT, Put("thing", b"1"))
    revisions = {item.revision for item in await written.backend.range("")}
    assert len(revisions) == 1


async def test_an_event_that_was_not_committed_is_in_neither(written: Written) -> None:
    written.backend.fail_next(StorageError("the disk is full"))
    async with written.running():
        with pytest.raises(StorageError):
            await written.log.emit(EVENT)
    assert await written.backend.range("") == []
    assert written.read_lines() == []


async def test_lines_are_in_the_order_of_the_commits(written: Written) -> None:
    async with written.running():
        for number in range(20):
            await written.log.emit(EVENT, number=number + 1)
        await written.next_report()
    assert [line["number"] for line in written.read_lines()] == list(range(1, 21))


async def test_a_file_that_was_moved_away_is_begun_anew(written: Written) -> None:
    async with written.running():
        await written.log.emit(EVENT, number=1)
        await written.next_report()
        written.path.rename(written.path.with_suffix(".old"))
        await written.log.emit(EVENT, number=2)
        await written.next_report()
    assert [line["number"] for line in written.read_lines()] == [2]


async def test_hostile_59_a_file_that_takes_no_lines_is_reported_and_gets_them_later(
    written: Written, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(audit, "RETRY", timedelta(0))
    written.path.mkdir()
    async with written.running():
        await written.log.emit(EVENT, number=1)
        problem = await written.next_report()
        assert problem is not None
        assert "takes no lines" in problem
        written.path.rmdir()
        await written.log.emit(EVENT, number=2)
        while await written.next_report() is not None:
            pass
    assert [line["number"] for line in written.read_lines()] == [1, 2]


async def test_what_waits_for_a_file_is_bounded(written: Written, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audit, "MAX_WAITING_LINES", 3)
    written.path.mkdir()
    for number in range(4):
        await written.log.emit(EVENT, number=number + 1)
    async with written.running():
        assert await written.next_report() is not None
        written.path.rmdir()
    assert [line["number"] for line in written.read_lines()] == [2, 3, 4]


async def test_what_still_waits_is_written_at_the_end(written: Written) -> None:
    async with written.running():
        await written.log.emit(EVENT, number=1)
        await asyncio.sleep(0)
        await written.log.emit(EVENT, number=2)
    assert [line["number"] for line in written.read_lines()] == [1, 2]


async def test_only_the_owner_reads_the_file(written: Written) -> None:
    async with written.running():
        await written.log.emit(EVENT)
    assert written.path.stat().st_mode & 0o777 == 0o600


def test_codes_tell_success_from_failure() -> None:
    assert audit.INSTANCE_JOIN.name == audit.INSTANCE_JOIN_FAILURE.name == "instance.join"
    assert (audit.INSTANCE_JOIN.code, audit.INSTANCE_JOIN_FAILURE.code) == ("TJ002I", "TJ002E")
    assert (audit.BOT_JOIN.code, audit.BOT_JOIN_FAILURE.code) == ("TJ001I", "TJ001E")
    assert (audit.TOKEN_CREATE.name, audit.TOKEN_CREATE.code) == ("join_token.create", "TJT00I")


def test_a_line_that_did_not_fit_leaves_no_half_of_itself(tmp_path: Path) -> None:
    path = tmp_path / "audit.jsonl"
    append(path, b"first\n")
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (10, hard))
    try:
        with pytest.raises(OSError, match="File too large"):
            append(path, b"second\n" * 10)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == b"first\n"
