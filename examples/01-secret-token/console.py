"""What every part of the example shares: where the programs are, how long to wait, how to speak and how to fail."""

import os
import sys
from pathlib import Path

PROGRAMS = Path(sys.executable).parent
"""Where this environment has `teleport` and `tctl`."""
ENVIRONMENT = {**os.environ, "TELEPORT_CONFIG_FILE": ""}
"""A configuration of this machine plays no part here."""
PATIENCE = 60.0
"""Seconds in which a process must become ready, or end when it is asked to."""


class Failed(Exception):
    """A step did not succeed; the message says which, and shows what is known."""


def say(step: str) -> None:
    """Tell what happens now."""
    print(f"==> {step}", flush=True)
