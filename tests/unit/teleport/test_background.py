import asyncio
import logging

import pytest

from support.virtual_time import run_in_virtual_time
from teleport.background import running


async def fail() -> None:
    """End by something that nobody expected."""
    await asyncio.sleep(1)
    raise ZeroDivisionError


def test_work_that_ends_by_a_surprise_is_told(caplog: pytest.LogCaptureFixture) -> None:
    async def work() -> list[str]:
        problems: list[str] = []
        async with running([fail()], problems.append):
            await asyncio.sleep(2)
        return problems

    caplog.set_level(logging.ERROR)
    assert run_in_virtual_time(work()) == ["background work ended, see the log; restart the process"]
    assert "ZeroDivisionError" in caplog.text


def test_work_that_is_stopped_is_no_crash() -> None:
    async def work() -> None:
        async with running([asyncio.sleep(1000), asyncio.sleep(2000)], pytest.fail):
            await asyncio.sleep(1)

    run_in_virtual_time(work())
