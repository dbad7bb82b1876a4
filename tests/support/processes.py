"""Real processes on this machine: started, awaited by what they say of themselves, and always ended by their ids."""

import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from teleport.resources.address import Address

PROGRAMS = Path(sys.executable).parent
"""Where this environment has `teleport` and `tctl`."""
HOST = "127.0.0.1"
PATIENCE = 60.0
"""Seconds after which a test gives up waiting; it is never reached by what works, however busy the machine is."""
MAX_SHOWN_LOG = 4000

T = TypeVar("T")


def build_environment() -> dict[str, str]:
    """Return an environment in which no configuration of this machine is found."""
    return {"PATH": f"{PROGRAMS}:{os.environ.get('PATH', '')}", "TELEPORT_CONFIG_FILE": "", "LC_ALL": "C.UTF-8"}


def wait_until(condition: Callable[[], T | None], what: str, *, pause: float = 0.02, patience: float = PATIENCE) -> T:
    """Return the condition's first result that is not None or False; fail if there is none in all patience."""
    end = time.monotonic() + patience
    while time.monotonic() < end:
        result = condition()
        if result:
            return result
        time.sleep(pause)
    raise AssertionError(f"did not come true: {what}")


class Process:
    """One program in the background, with all that it says in one log.

    Args:
        arguments: the program and its arguments.
        log: the file of its output; a second start appends to it.
        diag: where it answers `/readyz`.
    """

    def __init__(self, arguments: Sequence[str], *, log: Path, diag: Address) -> None:
        self.arguments = tuple(arguments)
        self.environment: dict[str, str] = {}
        """What its environment has beside the usual."""
        self.diag = diag
        self._log = log
        self._popen: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        """Start it, and do not wait for anything."""
        assert self._popen is None
        with self._log.open("ab") as log:
            self._popen = subprocess.Popen(
                self.arguments,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=build_environment() | self.environment,
            )

    @property
    def pid(self) -> int:
        """Return the id of the running process."""
        assert self._popen is not None
        return self._popen.pid

    @property
    def log(self) -> str:
        """Return everything it has said so far."""
        return self._log.read_text() if self._log.exists() else ""

    def is_alive(self) -> bool:
        """Tell whether the process is still there."""
        return self._popen is not None and self._popen.poll() is None

    def fetch(self, path: str) -> tuple[int, str]:
        """Return status and body of a page of its diagnostics; the status is 0 while nobody answers."""
        connection = http.client.HTTPConnection(self.diag.host, self.diag.port, timeout=PATIENCE)
        try:
            connection.request("GET", path)
            response = connection.getresponse()
            return response.status, response.read().decode()
        except (OSError, http.client.HTTPException):
            return 0, ""
        finally:
            connection.close()

    def wait_for_status(self, status: int) -> str:
        """Wait until `/readyz` answers with this status; return its body."""

        def look() -> str | None:
            assert self.is_alive(), f"{self.arguments[0]} ended:\n{self.log}"
            found, body = self.fetch("/readyz")
            return body if found == status else None

        return wait_until(look, f"/readyz answers {status}")

    def wait_for_log(self, text: str) -> None:
        """Wait until the process has said something."""
        wait_until(lambda: text in self.log, f"the log says {text!r}")

    def wait_for_end(self) -> int:
        """Wait until the process ends by itself; return its exit status."""
        assert self._popen is not None
        status = self._popen.wait(PATIENCE)
        self._popen = None
        return status

    def send(self, number: signal.Signals) -> None:
        """Send a signal."""
        os.kill(self.pid, number)

    def stop(self) -> int:
        """End it gracefully and return its exit status."""
        self.send(signal.SIGTERM)
        return self.wait_for_end()

    def kill(self) -> None:
        """End it as a power cut would."""
        self.send(signal.SIGKILL)
        self.wait_for_end()

    def resident_bytes(self) -> int:
        """Return how much memory it has at present."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")


class Processes:
    """Everything that one test, or one module of tests, has started.

    A port stays reserved by a socket that is bound and never listens: the process, which also reuses addresses, may
    listen there again and again, and nobody else gets the port.
    """

    def __init__(self) -> None:
        self._known: list[Process] = []
        self._reserved: list[socket.socket] = []

    def reserve_port(self) -> int:
        """Return a port that is free and stays so until the end."""
        reserved = socket.socket()
        reserved.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        reserved.bind((HOST, 0))
        self._reserved.append(reserved)
        return int(reserved.getsockname()[1])

    def reserve_address(self) -> Address:
        """Return an address on this machine with a port of its own."""
        return Address(HOST, self.reserve_port())

    def add(self, process: Process) -> None:
        """Look after a process: end it when all is over, and show its log when a test fails."""
        self._known.append(process)

    def render_logs(self) -> str:
        """Return the end of every log, for a test that failed."""
        parts = (f"--- {' '.join(process.arguments)}\n{process.log[-MAX_SHOWN_LOG:]}" for process in self._known)
        return "\n".join(parts)

    def close(self) -> None:
        """End whatever is still running, and give the ports back."""
        for process in self._known:
            if process.is_alive():
                with suppress(ProcessLookupError):
                    process.kill()
        for reserved in self._reserved:
            reserved.close()


def run_program(*arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run a program to its end, whatever that is."""
    return subprocess.run(
        arguments, input=stdin, capture_output=True, text=True, timeout=PATIENCE, check=False, env=build_environment()
    )
