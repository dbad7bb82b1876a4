"""Both ways of the guide to install, on bare hosts with systemd, and what systemd then does with the service."""

import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.cluster import AuthServer
from support.fresh_host import ROOT, find_obstacle
from support.processes import Processes, wait_until
from support.proxy import Proxy
from support.systemd_host import SystemdHost, build_host_image
from teleport.version import VERSION, render_archive_name

pytestmark = pytest.mark.timeout(900)

ARCHIVE = render_archive_name("amd64")


@dataclass(frozen=True, slots=True)
class Cluster:
    """An auth server and a proxy on this machine, which containers reach."""

    auth: AuthServer
    auth_server: str
    domain: str


@pytest.fixture(scope="module")
def archive() -> Path:
    """The archive of the working tree."""
    done = subprocess.run(["make", "dist"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return ROOT / "dist" / ARCHIVE


@pytest.fixture(scope="module")
def cluster(archive: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    processes = Processes()
    folder = tmp_path_factory.mktemp("cluster")
    try:
        auth = AuthServer(processes, folder / "auth")
        auth.configure(listen_addr=f"0.0.0.0:{auth.address.port}")
        auth.start()
        port = processes.reserve_address().port
        section = {"web_listen_addr": f"0.0.0.0:{port}", "dist_dir": str(archive.parent)}
        Proxy(processes, folder / "front", auth, section).start()
        gateway = SystemdHost.GATEWAY
        yield Cluster(auth, f"{gateway}:{auth.address.port}", f"{gateway}:{port}")
    finally:
        processes.close()


@pytest.fixture(scope="module", params=["debian:bookworm-slim", "debian:trixie-slim", "ubuntu:22.04", "ubuntu:24.04"])
def image(request: pytest.FixtureRequest) -> str:
    base: str = request.param
    obstacle = find_obstacle(base)
    if obstacle is not None:
        pytest.skip(f"NOT TESTED: installing on a host with systemd needs {base} in Docker: {obstacle}")
    return build_host_image(base)


@pytest.fixture
def host(image: str) -> Iterator[SystemdHost]:
    made = SystemdHost(image)
    try:
        made.wait_until_up()
        yield made
    finally:
        made.remove()


def wait_for_log(host: SystemdHost, text: str, times: int) -> None:
    def count() -> bool:
        return host.run("journalctl -u teleport --no-pager").count(text) == times

    wait_until(count, f"the journal has {text!r} {times} times", pause=0.5)


def test_the_install_script_and_systemd_make_a_host_a_member(host: SystemdHost, cluster: Cluster) -> None:
    assert host.try_run("command -v python3")[0] != 0
    distrusting = host.try_run(f'curl -s "https://{cluster.domain}/scripts/install.sh" | sudo bash')
    assert distrusting[0] != 0

    script = f"https://{cluster.domain}/scripts/install.sh"
    without_trust = host.try_run(f"curl -sk {script} | sudo bash")
    assert without_trust[0] != 0
    assert "insecure=true" in without_trust[1]
    assert "Teleport binaries have been copied to /usr/local/bin" in host.run(
        f'curl -sk "{script}?insecure=true" | sudo bash'
    )
    assert host.run("ls -d /tmp/tmp.* 2>/dev/null || true") == ""
    assert f"Teleport v{VERSION}" in host.run("teleport version && tctl version && tsh version")
    assert ARCHIVE in host.run("ls /usr/local/lib/teleport/dist")

    token = cluster.auth.add_token("node")
    host.run(
        f"sudo teleport configure --roles=node --token={token} --auth-server={cluster.auth_server} -o file"
        f""" && sudo sed -i 's|  ca_pin: ""|  ca_pin: "{cluster.auth.get_pin()}"|' /etc/teleport.yaml"""
        f" && sudo sed -i 's|  nodename: .*|  nodename: {token[:12]}|' /etc/teleport.yaml"
    )
    host.run("sudo teleport install systemd -o /etc/systemd/system/teleport.service")
    assert "ExecStart=/usr/local/bin/teleport start" in host.run("cat /etc/systemd/system/teleport.service")
    host.run("sudo systemctl enable teleport && sudo systemctl start teleport")
    cluster.auth.wait_for_record(token[:12], "node")
    assert "active (running)" in host.run("systemctl status --no-pager teleport")

    pid = host.run("systemctl show -p MainPID --value teleport")
    host.run("sudo systemctl reload teleport")
    wait_for_log(host, "SIGHUP", 1)
    assert host.run("systemctl show -p MainPID --value teleport") == pid
    host.run("sudo systemctl restart teleport")
    wait_until(
        lambda: host.run("systemctl show -p MainPID --value teleport") != pid, "it runs as another process", pause=0.5
    )
    assert host.run("systemctl is-active teleport").strip() == "active"
    host.run("sudo systemctl stop teleport")
    assert host.run("systemctl show -p Result --value teleport").strip() == "success"


def test_the_tar_way_installs_upgrades_and_uninstalls(host: SystemdHost, archive: Path) -> None:
    host.copy(str(archive), f"/root/{ARCHIVE}")
    unpack = f"cd /root && tar -xzf {ARCHIVE} && cd teleport"
    status, printed = host.try_run(f"{unpack} && cp -R . /tmp/copy && setpriv --reuid=65534 /tmp/copy/install")
    assert status != 0
    assert "only root" in printed
    assert host.run(f"{unpack} && sudo ./install") == "Teleport binaries have been copied to /usr/local/bin\n"
    host.run("cd /root/teleport && sudo ./install")
    assert host.run("readlink /usr/local/lib/teleport/current").strip() == VERSION

    host.run("cd /root/teleport && echo 9.9.9 > VERSION && ./install")
    assert host.run("readlink /usr/local/lib/teleport/current").strip() == "9.9.9"
    assert VERSION in host.run("ls /usr/local/lib/teleport").split()
    host.run("teleport version")
    host.run("cd /root/teleport && ./install --uninstall")
    assert host.try_run("command -v teleport")[0] != 0
