"""The administrator at the terminal of the auth server's host, who types `tctl` commands."""

import shlex
import subprocess
from pathlib import Path

from console import ENVIRONMENT, PATIENCE, PROGRAMS, Failed


class Administrator:
    """Types `tctl` commands on the auth server's host.

    Args:
        config: the auth server's configuration, which tells `tctl` where everything is.
    """

    def __init__(self, config: Path) -> None:
        self._config = config

    def render_command(self, *arguments: str) -> str:
        """Return the command as it can be pasted into another terminal."""
        return shlex.join([str(PROGRAMS / "tctl"), f"--config={self._config}", *arguments])

    def run(self, *arguments: str) -> str:
        """Run a command and return what it prints."""
        done = subprocess.run(
            [PROGRAMS / "tctl", f"--config={self._config}", *arguments],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=PATIENCE, check=False, env=ENVIRONMENT,
        )  # fmt: skip
        if done.returncode:
            raise Failed(f"tctl {shlex.join(arguments)}: {done.stderr.strip()}")
        return done.stdout

    def show(self, *arguments: str) -> str:
        """Run a command, show it with what it prints, and return that."""
        printed = self.run(*arguments)
        print(f"\n$ tctl {shlex.join(arguments)}\n{printed.rstrip()}", flush=True)
        return printed
