import asyncio
import logging
from itertools import pairwise
from typing import Any

import pytest

from support.auth import HOST_ID, InProcessAuth, build_host
from support.auth_client import InProcessClient
from support.virtual_time import run_in_virtual_time, seconds
from teleport.agent.heartbeat import PERIOD, RETRY, Heartbeat
from teleport.auth.stores.presence import SERVER_LIFE
from teleport.errors import ConnectionFailed, MembershipEnded
from teleport.resources.role import SystemRole


class Beating:
    """A heartbeat in virtual time; it notes when it was sent and what it reported."""

    def __init__(self, auth: InProcessAuth) -> None:
        self.client = InProcessClient(auth, build_host(SystemRole.NODE))
        self.records: list[dict[str, Any]] = [{"kind": "node", "metadata": {}, "spec": {}}]
        self.times: list[float] = []
        self.reports: list[str | None] = []
        self.heartbeat = Heartbeat(
            client=self.client, hostname="node", build_records=self._build, report=self.reports.append
        )

    def _build(self) -> list[dict[str, Any]]:
        self.times.append(seconds())
        return self.records

    async def run_for(self, duration: float) -> None:
        task = asyncio.create_task(self.heartbeat.run())
        await asyncio.sleep(duration)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def start() -> Beating:
    return Beating(await InProcessAuth.start())


def test_the_first_heartbeat_comes_at_once_and_the_next_before_the_records_are_over() -> None:
    async def work() -> Beating:
        beating = await start()
        await beating.run_for(3 * PERIOD.total_seconds())
        return beating

    times = run_in_virtual_time(work()).times
    assert times[0] == 0
    for earlier, later in pairwise(times):
        assert PERIOD.total_seconds() * 6 / 7 <= later - earlier <= PERIOD.total_seconds() < SERVER_LIFE.total_seconds()


def test_a_change_is_told_at_once() -> None:
    async def work() -> Beating:
        beating = await start()
        asyncio.get_running_loop().call_later(10, beating.heartbeat.announce_early)
        await beating.run_for(20)
        return beating

    assert run_in_virtual_time(work()).times == [0, 10]


def test_a_failure_is_reported_and_tried_again_soon() -> None:
    async def work() -> Beating:
        beating = await start()
        beating.client.fail_next(ConnectionFailed("cannot talk to auth:3025"))
        await beating.run_for(RETRY.total_seconds() + 1)
        return beating

    beating = run_in_virtual_time(work())
    assert beating.reports == ["heartbeat failed: cannot talk to auth:3025", None]
    assert RETRY.total_seconds() / 2 <= beating.times[1] <= RETRY.total_seconds()


def test_a_goodbye_waits_for_the_heartbeat_that_is_under_way(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> list[str]:
        beating = await start()
        call = beating.client.call

        async def answer_late(operation: Any, request: Any) -> Any:
            if operation.name == "heartbeat":
                await asyncio.sleep(1)
            return await call(operation, request)

        monkeypatch.setattr(beating.client, "call", answer_late)
        await beating.run_for(0.5)
        await beating.heartbeat.say_goodbye()
        return beating.client.names()

    assert run_in_virtual_time(work()) == ["heartbeat", "goodbye"]


def test_a_member_that_is_out_says_no_more() -> None:
    async def work() -> Beating:
        beating = await start()
        beating.client.fail_next(MembershipEnded("its pod has ended"))
        with pytest.raises(MembershipEnded):
            await beating.heartbeat.run()
        return beating

    assert run_in_virtual_time(work()).times == [0]


async def test_what_is_declared_arrives_and_a_goodbye_takes_it_away() -> None:
    auth = await InProcessAuth.start()
    beating = Beating(auth)
    await beating.heartbeat._send()
    assert (await auth.stores.presence.get("node", HOST_ID)).name == HOST_ID
    await beating.heartbeat.say_goodbye()
    assert await auth.backend.range("presence/") == []


@pytest.mark.parametrize("error", [ConnectionFailed("gone"), TimeoutError()])
async def test_a_goodbye_that_fails_is_no_trouble(error: Exception, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    beating = await start()
    beating.client.fail_next(error)
    await beating.heartbeat.say_goodbye()
    assert "expire by themselves" in caplog.text
