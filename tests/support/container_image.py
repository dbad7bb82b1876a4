"""The container images of the working tree, built once for a run of the tests, and what Docker does with one."""

import hashlib
import json
import subprocess
from dataclasses import dataclass
from typing import Any

from support.fresh_host import ROOT, find_obstacle

BASE = "debian:trixie-slim"
CHECKOUT = hashlib.sha256(str(ROOT).encode()).hexdigest()[:8]
"""Tells what this checkout's tests make from what those of another one do at the same time."""
CONFINED = ("--read-only", "--cap-drop=ALL", "--security-opt=no-new-privileges", "--network=none")


@dataclass(frozen=True, slots=True)
class Images:
    """Names of the images."""

    teleport: str
    operator: str


def find_build_obstacle() -> str | None:
    """Return why no image can be built, or None if one can."""
    return find_obstacle(BASE)


def build_images() -> Images:
    """Build the images as their makers do, and return their names; a second time takes a second."""
    images = Images(f"teleport:e2e-{CHECKOUT}", f"teleport-operator:e2e-{CHECKOUT}")
    command = ["make", "image", f"IMAGE={images.teleport}", f"OPERATOR_IMAGE={images.operator}"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return images


def docker(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run docker to its end, whatever that is."""
    return subprocess.run(["docker", *arguments], capture_output=True, text=True, timeout=60, check=False)


def run_in(image: str, program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a program of an image, confined."""
    return docker("run", "--rm", *CONFINED, f"--entrypoint={program}", image, *arguments)


def inspect(name: str) -> dict[str, Any]:
    """Return what Docker knows of an image."""
    done = docker("inspect", name)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)[0]
    return found
