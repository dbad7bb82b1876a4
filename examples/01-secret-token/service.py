"""One `teleport start` in the background: started, asked whether it is ready, and ended gracefully."""

import http.client
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http import HTTPStatus
from pathlib import Path

from console import ENVIRONMENT, PATIENCE, PROGRAMS, Failed, say

SHOWN_LINES = 20


class Service:
    """One `teleport start` in the background, with its log in a file.

    Args:
        name: what people call it.
        log: the file that everything it says goes into.
        diag: where it answers `/readyz`.
        flags: of `teleport start`.
    """

    def __init__(self, name: str, *, log: Path, diag: str, flags: list[str]) -> None:
        self.name = name
        self._log = log
        self._diag = diag
        with log.open("wb") as output:
            # A process group of its own: Ctrl-C is for this program, which then ends the service gracefully.
            self._process = subprocess.Popen(
                [PROGRAMS / "teleport", "start", *flags],
                stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=ENVIRONMENT, process_group=0,
            )  # fmt: skip

    @property
    def is_alive(self) -> bool:
        """Tell whether the process is still there."""
        return self._process.poll() is None

    def wait_until_ready(self) -> None:
        """Return when the service says that it is of use."""
        end = time.monotonic() + PATIENCE
        while time.monotonic() < end and self.is_alive:
            if self._is_ready():
                return
            time.sleep(0.1)
        raise Failed(f"the {self.name} does not become ready. {self.render_log()}")

    def _is_ready(self) -> bool:
        connection = http.client.HTTPConnection(self._diag, timeout=5)
        try:
            connection.request("GET", "/readyz")
            return connection.getresponse().status == HTTPStatus.OK
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def render_log(self) -> str:
        """Return the end of the log."""
        lines = self._log.read_text(errors="replace").splitlines()[-SHOWN_LINES:]
        return "\n".join([f"The end of {self._log}:", *(f"  {line}" for line in lines)])

    def stop(self) -> None:
        """End the process gracefully."""
        say(f"stopping the {self.name}")
        self._process.terminate()
        try:
            self._process.wait(PATIENCE)
        except subprocess.TimeoutExpired:
            self._process.kill()


@contextmanager
def running(name: str, *, log: Path, diag: str, flags: list[str]) -> Iterator[Service]:
    """Run a service for the time of a block, which begins when the service is ready."""
    service = Service(name, log=log, diag=diag, flags=flags)
    try:
        service.wait_until_ready()
        yield service
    finally:
        service.stop()
