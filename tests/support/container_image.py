"""The container image of the working tree, built once for a run of the tests and named after the checkout."""

import hashlib
import subprocess

from support.fresh_host import ROOT, find_obstacle

BASE = "debian:trixie-slim"
CHECKOUT = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
"""Tells what this checkout's tests make from what those of another one do at the same time."""


def find_build_obstacle() -> str | None:
    """Return why no image can be built, or None if one can."""
    return find_obstacle(BASE)


def build_image() -> str:
    """Build the image as its makers do, and return its name; a second time takes a second."""
    name = f"teleport:e2e-{CHECKOUT}"
    done = subprocess.run(["make", "image", f"IMAGE={name}"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return name
