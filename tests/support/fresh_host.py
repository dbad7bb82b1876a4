"""A machine that has Python and make and nothing of ours: a container, into which the working tree is copied."""

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from uuid import uuid4

ROOT = Path(__file__).parents[2]
PASSED_ON = ("PIP_INDEX_URL", "PIP_CERT", "SSL_CERT_FILE", "http_proxy", "https_proxy", "no_proxy")
"""How this machine reaches the package index; files that these name are mounted at the same place."""
PATIENCE = 900.0


def find_obstacle(image: str) -> str | None:
    """Return why there can be no such host, or None if there can."""
    if shutil.which("docker") is None:
        return "docker is not installed"
    done = subprocess.run(["docker", "image", "inspect", image], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return None
    if "Cannot connect" in done.stderr:
        return "the Docker engine does not run"
    done = subprocess.run(["docker", "pull", "--quiet", image], capture_output=True, text=True, check=False)
    return None if done.returncode == 0 else f"the image {image} cannot be pulled"


def pack_working_tree() -> bytes:
    """Return a tar archive of what a commit of the working tree would hold."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT, capture_output=True, text=True, check=True,
    )  # fmt: skip
    archive = io.BytesIO()
    with tarfile.open(fileobj=archive, mode="w") as tar:
        for name in sorted(set(listed.stdout.split("\0"))):
            if name and (ROOT / name).exists():
                tar.add(ROOT / name, name)
    return archive.getvalue()


class FreshHost:
    """A container that runs until it is removed.

    Args:
        image: a Debian or Ubuntu.
        packages: what the host has beside the image's own.
    """

    def __init__(self, image: str, packages: str = "python3 make") -> None:
        self._image = image
        self._packages = packages
        self._name = f"teleport-fresh-host-{uuid4().hex[:12]}"

    def start(self) -> None:
        """Start the container, install the packages, and copy the working tree."""
        passed_on = [name for name in PASSED_ON if os.environ.get(name)]
        files = sorted({os.environ[name] for name in passed_on if os.environ[name].startswith("/")})
        flags = [*(f"--env={name}" for name in passed_on), *(f"--volume={path}:{path}:ro" for path in files)]
        command = (self._image, "sleep", str(int(PATIENCE)))
        self._docker("run", "--detach", "--rm", "--network=host", f"--name={self._name}", *flags, *command)
        unpack = "mkdir /src && tar -x -C /src"
        self._docker("exec", "--interactive", self._name, "sh", "-c", unpack, stdin=pack_working_tree())
        self.run(f"apt-get update -qq && apt-get install -y -qq --no-install-recommends {self._packages} >/dev/null")

    def run(self, command: str, *, user: str = "root") -> str:
        """Run a command in the checkout; it must succeed. Return what it printed."""
        status, output = self.try_run(command, user=user)
        assert status == 0, output
        return output

    def try_run(self, command: str, *, user: str = "root") -> tuple[int, str]:
        """Run a command in the checkout; return its exit status and what it printed."""
        done = subprocess.run(
            ["docker", "exec", f"--user={user}", "--workdir=/src", self._name, "sh", "-c", f"{command} 2>&1"],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    def remove(self) -> None:
        """End the container; nothing of it stays."""
        self._docker("rm", "--force", self._name)

    def _docker(self, *arguments: str, stdin: bytes | None = None) -> None:
        subprocess.run(["docker", *arguments], input=stdin, capture_output=True, timeout=PATIENCE, check=True)
