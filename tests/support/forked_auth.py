"""Auth servers that start quickly: a process that has imported everything forks a new one each time.

Run as a program, it forks a `teleport` for every line that it reads, which holds arguments and a log file as JSON, and
prints the id of each; it is the part that runs in the other process.
"""

import http.client
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Self

from support.processes import HOST, PATIENCE, PROGRAMS, build_environment, wait_until


class ForkingAuth:
    """Starts and kills `teleport` with the same arguments, again and again.

    Args:
        arguments: of `teleport`.
        log: the file of its output.
        diag_port: where it answers `/readyz`.
    """

    def __init__(self, arguments: list[str], *, log: Path, diag_port: int) -> None:
        self._line = json.dumps({"arguments": arguments, "log": str(log)}) + "\n"
        self._diag_port = diag_port
        self._pid = 0
        here = Path(__file__).parents[1]
        self._parent = subprocess.Popen(
            (PROGRAMS / "python", "-m", "support.forked_auth"),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            bufsize=1,
            env=build_environment() | {"PYTHONPATH": str(here)},
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._pid:
            self.kill()
        self._parent.terminate()
        self._parent.communicate()

    def start(self) -> None:
        """Start one and wait until it is ready."""
        assert self._parent.stdin is not None
        assert self._parent.stdout is not None
        self._parent.stdin.write(self._line)
        self._pid = int(self._parent.stdout.readline())
        end = time.monotonic() + PATIENCE
        while not self._is_ready():
            assert self._is_alive(), "auth ended by itself"
            assert time.monotonic() < end, "auth did not become ready"
            time.sleep(0.005)

    def kill(self) -> None:
        """End it as a power cut would, and wait until it is gone."""
        os.kill(self._pid, signal.SIGKILL)
        wait_until(lambda: not self._is_alive(), "the killed process is gone")
        self._pid = 0

    def stop(self) -> None:
        """End it gracefully, and wait until it is gone."""
        os.kill(self._pid, signal.SIGTERM)
        wait_until(lambda: not self._is_alive(), "the stopped process is gone")
        self._pid = 0

    def _is_alive(self) -> bool:
        try:
            os.kill(self._pid, 0)
        except ProcessLookupError:
            return False
        return True

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(HOST, self._diag_port, timeout=PATIENCE)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == http.HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()


def main() -> None:
    """Fork until there is nothing more to read."""
    import uvloop  # noqa: F401, PLC0415 - imported once for all children

    import teleport.auth.server  # noqa: PLC0415 - the same
    import teleport.cli.teleport.process  # noqa: F401, PLC0415 - the same

    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            _run(json.loads(line))
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()


def _run(order: dict[str, list[str]]) -> None:
    """Be `teleport` from now on."""
    from teleport.cli.teleport.main import main as teleport  # noqa: PLC0415 - the rest is imported already

    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    log = os.open(str(order["log"]), os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(log, 1)
    os.dup2(log, 2)
    sys.argv = ["teleport", *order["arguments"]]
    teleport()


if __name__ == "__main__":
    main()
