"""The container image of auth servers and agents: what is in it, and how it runs with nothing that it does not need."""

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from support.container_image import CONFINED, docker, inspect, run_in
from support.processes import wait_until
from teleport.resources.strict_yaml import render_yaml
from teleport.version import VERSION

pytestmark = pytest.mark.timeout(600)

DATA = "--tmpfs=/var/lib/teleport:uid=9807,gid=9807,mode=0700"
AUTH = {
    "version": "v3",
    "teleport": {"nodename": "auth"},
    "auth_service": {"enabled": "yes", "cluster_name": "example.com"},
    "ssh_service": {"enabled": "no"},
    "proxy_service": {"enabled": "no"},
}


class Container:
    """An auth server in a container whose root file system nobody can write to."""

    def __init__(self, image: str, config: Path) -> None:
        self._name = f"teleport-image-{uuid4().hex[:12]}"
        config.write_text(render_yaml(AUTH))
        config.chmod(0o644)
        mount = f"--volume={config}:/etc/teleport/teleport.yaml:ro"
        done = docker("run", "--detach", f"--name={self._name}", *CONFINED, DATA, mount, image)
        assert done.returncode == 0, done.stderr

    @property
    def log(self) -> str:
        done = docker("logs", self._name)
        return done.stdout + done.stderr

    def run(self, *command: str) -> str:
        """Run a command in the container; it must succeed."""
        done = docker("exec", self._name, *command)
        assert done.returncode == 0, done.stderr
        return done.stdout.strip()

    def wait_for_starts(self, number: int) -> None:
        """Wait until the auth server has started so often."""
        wait_until(lambda: self.log.count("listens on") == number, f"{number} starts", pause=0.2)

    def send(self, signal: str) -> None:
        docker("kill", f"--signal={signal}", self._name)

    def wait_for_end(self) -> int:
        """Return the exit status of a container that was told to end."""
        return int(docker("wait", self._name).stdout)

    def remove(self) -> None:
        docker("rm", "--force", self._name)


@pytest.fixture
def container(teleport_image: str, tmp_path: Path) -> Iterator[Container]:
    made = Container(teleport_image, tmp_path / "teleport.yaml")
    try:
        made.wait_for_starts(1)
        yield made
    finally:
        made.remove()


def test_the_programs_are_found_by_their_names(teleport_image: str) -> None:
    for program in ("teleport", "tctl", "tsh"):
        assert f"v{VERSION}" in run_in(teleport_image, program, "version").stdout


def test_it_is_not_root(teleport_image: str) -> None:
    assert inspect(teleport_image)["Config"]["User"] == "9807:9807"
    assert "uid=9807(teleport) gid=9807(teleport)" in run_in(teleport_image, "id").stdout


def test_without_a_configuration_it_says_what_is_missing(teleport_image: str) -> None:
    done = docker("run", "--rm", *CONFINED, DATA, teleport_image)
    assert done.returncode == 1
    assert "/etc/teleport/teleport.yaml" in done.stderr


def test_an_auth_server_needs_no_writable_root_and_tctl_finds_it(container: Container) -> None:
    assert "example.com" in container.run("tctl", "status")


def test_sigterm_ends_it_gracefully(container: Container) -> None:
    container.send("TERM")
    assert container.wait_for_end() == 0
    assert "SIGTERM: finishing what is in flight" in container.log


def test_sighup_starts_it_again_in_the_same_container(container: Container) -> None:
    container.send("HUP")
    container.wait_for_starts(2)
    assert "example.com" in container.run("tctl", "status")


def test_processes_that_lost_their_parent_are_reaped(container: Container) -> None:
    orphan = container.run("sh", "-c", "sleep 0.2 >/dev/null & echo $!")
    gone = ("sh", "-c", f"test -e /proc/{orphan} || echo gone")
    wait_until(lambda: container.run(*gone) == "gone", "the process has left no zombie", pause=0.2)
