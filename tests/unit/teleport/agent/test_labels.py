import asyncio
import logging
from datetime import timedelta

import pytest

from teleport.agent import labels as module
from teleport.agent.labels import CommandLabels, run_command
from teleport.config.settings import LabelCommand
from teleport.resources.model import MAX_LABEL_LENGTH

HOUR = timedelta(hours=1)


def shell(script: str) -> tuple[str, ...]:
    return ("/bin/sh", "-c", script)


def build_command(script: str, name: str = "label", period: timedelta = HOUR) -> LabelCommand:
    return LabelCommand(name=name, command=shell(script), period=period)


async def test_a_label_is_what_a_command_prints_trimmed() -> None:
    assert await run_command(shell("echo '  web-1  '")) == "web-1"
    assert await run_command(shell("true")) == ""


async def test_what_could_act_when_it_is_shown_is_dropped() -> None:
    assert await run_command(shell(r"printf 'a\033[2J\nb\377'")) == "a[2Jb\ufffd"


async def test_output_is_bounded() -> None:
    assert len(await run_command(shell(f"printf '%0{MAX_LABEL_LENGTH}d' 1"))) == MAX_LABEL_LENGTH
    with pytest.raises(ValueError, match="more than"):
        await run_command(shell(f"printf '%0{MAX_LABEL_LENGTH + 1}d' 1"))


@pytest.mark.parametrize("script", ["yes", "yes; true", "yes & wait"])
async def test_endless_output_ends_and_so_does_what_the_command_started(script: str) -> None:
    with pytest.raises(ValueError, match="more than"):
        await run_command(shell(script))


async def test_a_command_that_fails_or_is_missing_is_an_error() -> None:
    with pytest.raises(ValueError, match="status 3"):
        await run_command(shell("echo value; exit 3"))
    with pytest.raises(FileNotFoundError):
        await run_command(("/no/such/command",))


async def test_a_command_that_does_not_end_is_killed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "TIMEOUT", timedelta(milliseconds=50))
    for script in ("sleep 1000", "sleep 1000; true", "sleep 1000 & exit 0"):
        with pytest.raises(TimeoutError):
            await run_command(shell(script))


async def test_a_change_is_told_and_the_same_value_is_not() -> None:
    changes: list[int] = []
    labels = CommandLabels([], lambda: changes.append(1))
    await labels.refresh(build_command("echo one"))
    await labels.refresh(build_command("echo one"))
    assert (labels.values, len(changes)) == ({"label": "one"}, 1)
    await labels.refresh(build_command("echo two"))
    assert (labels.values, len(changes)) == ({"label": "two"}, 2)


async def test_a_command_that_fails_keeps_the_value_from_before(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    labels = CommandLabels([], lambda: None)
    await labels.refresh(build_command("echo one"))
    await labels.refresh(build_command("exit 1"))
    assert labels.values == {"label": "one"}
    assert "label label: command /bin/sh failed: it ended with status 1" in caplog.text


async def test_every_command_runs_at_once() -> None:
    all_known = asyncio.Event()
    labels = CommandLabels(
        [build_command("echo 1", "a"), build_command("echo 2", "b")],
        lambda: all_known.set() if len(labels.values) == 2 else None,
    )
    running = asyncio.create_task(labels.run())
    async with asyncio.timeout(10):
        await all_known.wait()
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)
    assert labels.values == {"a": "1", "b": "2"}


async def test_without_commands_there_is_nothing_to_do() -> None:
    labels = CommandLabels([], lambda: None)
    await labels.run()
    assert labels.values == {}
