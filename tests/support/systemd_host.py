"""A host of its own that runs systemd, in a container: bare Debian with what a server has, and no Python."""

import subprocess
from uuid import uuid4

from support.container_image import CHECKOUT, docker
from support.processes import wait_until

TOOLS = "systemd systemd-sysv curl sudo procps ca-certificates"
PATIENCE = 600


def build_host_image(base: str) -> str:
    """Build the image of such hosts on a Debian or Ubuntu; return its name."""
    name = f"teleport-host-{base.replace(':', '-')}:e2e-{CHECKOUT}"
    recipe = (
        f"FROM {base}\nRUN apt-get update -qq && DEBIAN_FRONTEND=noninteractive"
        f" apt-get install -y -qq --no-install-recommends {TOOLS} >/dev/null\n"
    )
    command = ["docker", "build", "--network=host", "--quiet", f"--tag={name}", "-"]
    done = subprocess.run(command, input=recipe, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    return name


class SystemdHost:
    """A container whose first process is systemd.

    Args:
        image: made by `build_host_image`.
    """

    GATEWAY = "172.17.0.1"
    """This machine, as such hosts see it."""

    def __init__(self, image: str) -> None:
        self._name = f"teleport-systemd-{uuid4().hex[:12]}"
        flags = ["--privileged", "--tmpfs=/run", "--tmpfs=/run/lock", f"--name={self._name}", "--hostname=web-1"]
        done = docker("run", "--detach", *flags, image, "/sbin/init")
        assert done.returncode == 0, done.stderr

    def wait_until_up(self) -> None:
        """Wait until systemd takes orders."""
        wait_until(
            lambda: self.try_run("systemctl is-system-running")[1].strip() in {"running", "degraded"},
            "systemd is up",
            pause=0.5,
        )

    def run(self, command: str) -> str:
        """Run a command in bash, which must succeed; return what it printed."""
        status, printed = self.try_run(command)
        assert status == 0, printed
        return printed

    def try_run(self, command: str) -> tuple[int, str]:
        """Run a command in bash; return its exit status and what it printed."""
        done = subprocess.run(
            ["docker", "exec", self._name, "bash", "-o", "pipefail", "-c", f"{{ {command}\n}} 2>&1"],
            capture_output=True, text=True, timeout=PATIENCE, check=False,
        )  # fmt: skip
        return done.returncode, done.stdout

    def copy(self, source: str, target: str) -> None:
        """Copy a file of this machine into the host."""
        done = docker("cp", source, f"{self._name}:{target}")
        assert done.returncode == 0, done.stderr

    def remove(self) -> None:
        """End the container; nothing of it stays."""
        docker("rm", "--force", "--volumes", self._name)
