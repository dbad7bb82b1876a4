"""Labels whose values are what commands print; each command runs on its own period."""

import asyncio
import logging
import os
import signal
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta

from teleport.config.settings import LabelCommand
from teleport.resources.model import MAX_LABEL_LENGTH, Labels

TIMEOUT = timedelta(seconds=10)
KILL_TIMEOUT = timedelta(seconds=1)
MIN_PERIOD = timedelta(seconds=1)

logger = logging.getLogger(__name__)


class CommandLabels:
    """The present values of a set of label commands.

    Args:
        commands: what to run, and how often.
        on_change: called when a value differs from the one before.
    """

    def __init__(self, commands: Iterable[LabelCommand], on_change: Callable[[], None]) -> None:
        self._commands = tuple(commands)
        self._on_change = on_change
        self._values: Labels = {}

    @property
    def values(self) -> Labels:
        """Return the labels whose commands have answered so far."""
        return dict(self._values)

    async def run(self) -> None:
        """Run every command at once and then on its period, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for command in self._commands:
                group.create_task(self._repeat(command))

    async def _repeat(self, command: LabelCommand) -> None:
        while True:
            await self.refresh(command)
            await asyncio.sleep(max(command.period, MIN_PERIOD).total_seconds())

    async def refresh(self, command: LabelCommand) -> None:
        """Run one command; when it fails the value stays what it was."""
        try:
            value = await run_command(command.command)
        except (OSError, TimeoutError, ValueError) as error:
            logger.warning("label %s: command %s failed: %s", command.name, command.command[0], error)
            return
        if self._values.get(command.name) != value:
            self._values[command.name] = value
            self._on_change()


async def run_command(command: tuple[str, ...]) -> str:
    """Return what a command prints, trimmed and bounded.

    Raises:
        OSError: there is no such command.
        TimeoutError: it did not end in time; it is killed.
        ValueError: it ended with an error, or printed what cannot be a label.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        start_new_session=True,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        limit=4 * MAX_LABEL_LENGTH,
    )
    try:
        async with asyncio.timeout(TIMEOUT.total_seconds()):
            output = await _read_bounded(process)
            status = await process.wait()
    except BaseException:
        await _kill(process)
        raise
    if status != 0:
        raise ValueError(f"it ended with status {status}")
    return "".join(character for character in output.decode(errors="replace").strip() if character.isprintable())


async def _kill(process: asyncio.subprocess.Process) -> None:
    """End a command and all that it started; what they still print is read, since `wait` waits for the end of that."""
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    with suppress(TimeoutError):
        async with asyncio.timeout(KILL_TIMEOUT.total_seconds()):
            while process.stdout is not None and await process.stdout.read(MAX_LABEL_LENGTH):
                pass
            await process.wait()


async def _read_bounded(process: asyncio.subprocess.Process) -> bytes:
    if process.stdout is None:
        raise ValueError("it has no output")
    output = b""
    while chunk := await process.stdout.read(MAX_LABEL_LENGTH + 1 - len(output)):
        output += chunk
        if len(output) > MAX_LABEL_LENGTH:
            raise ValueError(f"it printed more than {MAX_LABEL_LENGTH} bytes")
    return output
