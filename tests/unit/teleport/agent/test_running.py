import asyncio

import pytest

from support.clock import FakeClock
from support.virtual_time import run_in_virtual_time
from teleport.agent.running import keep_running
from teleport.api.host import Host
from teleport.errors import MembershipEnded, TeleportError, Unavailable
from teleport.resources.role import SystemRole
from teleport.web.readiness import Readiness, State


class FakeRunner:
    """Fails as often as it is told to, and then serves."""

    role = SystemRole.PROXY

    def __init__(self, *errors: TeleportError) -> None:
        self.errors = list(errors)
        self.starts = 0

    async def run(self, host: Host) -> None:  # noqa: ARG002 - the real one's signature
        self.starts += 1
        if self.errors:
            raise self.errors.pop(0)
        await asyncio.Event().wait()


async def run(runner: FakeRunner, certified: asyncio.Event, readiness: Readiness, host: Host) -> asyncio.Task[None]:
    return asyncio.create_task(keep_running(runner, host, certified=certified, readiness=readiness))


class NoHost:
    """A host that nobody asks."""


def test_a_service_starts_when_it_is_certified_and_not_before() -> None:
    async def work() -> list[int]:
        runner, certified = FakeRunner(), asyncio.Event()
        task = await run(runner, certified, Readiness(FakeClock()), NoHost())  # type: ignore[arg-type]  # it is not asked
        await asyncio.sleep(1)
        starts = [runner.starts]
        certified.set()
        await asyncio.sleep(1)
        task.cancel()
        return [*starts, runner.starts]

    assert run_in_virtual_time(work()) == [0, 1]


def test_a_service_that_gives_up_is_run_again_and_readiness_says_why(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> tuple[int, State, str]:
        runner, certified = FakeRunner(Unavailable("port 3080 is taken")), asyncio.Event()
        readiness = Readiness(FakeClock())
        certified.set()
        task = await run(runner, certified, readiness, NoHost())  # type: ignore[arg-type]  # it is not asked
        await asyncio.sleep(60)
        task.cancel()
        return runner.starts, readiness.state, readiness.report().text

    starts, state, text = run_in_virtual_time(work())
    assert (starts, state) == (2, State.DEGRADED)
    assert "proxy: port 3080 is taken" in text
    assert "service proxy: port 3080 is taken" in caplog.text


def test_the_end_of_the_membership_ends_the_service() -> None:
    async def work() -> None:
        certified = asyncio.Event()
        certified.set()
        await (await run(FakeRunner(MembershipEnded("gone")), certified, Readiness(FakeClock()), NoHost()))  # type: ignore[arg-type]  # it is not asked

    with pytest.raises(MembershipEnded):
        run_in_virtual_time(work())
