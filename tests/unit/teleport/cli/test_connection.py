import asyncio
import os
import socket
import textwrap
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from support.clock import FakeClock
from support.fake_cluster import NOW, SSH_KEY
from support.logins import VALID_UNTIL, build_profile
from teleport.api.identity import Identity, render_identity_file
from teleport.api.messages import Empty
from teleport.api.operations import PING
from teleport.api.way import ThroughProxy
from teleport.cli.connection import ADMIN_IDENTITY, Target, find_cluster, open_admin_client
from teleport.cli.flags import ClusterFlags
from teleport.cli.profile import Profile
from teleport.cli.profile_store import ProfileStore
from teleport.errors import AccessDenied, BadParameter, ConnectionFailed, NotFound
from teleport.pki.authority import create_tls_authority
from teleport.resources.address import Address


def build_identity_text() -> str:
    authority = create_tls_authority("example.com", not_before=NOW, not_after=NOW + timedelta(days=1))
    identity = Identity(
        tls_key=authority.private_key,
        tls_certificate=authority.certificate,
        ssh_key="-----BEGIN OPENSSH PRIVATE KEY-----\nAAAA\n-----END OPENSSH PRIVATE KEY-----\n",
        ssh_certificate=SSH_KEY,
        host_ca_certificates=(authority.certificate,),
    )
    return render_identity_file(identity)


class Host:
    """A host's files: a configuration, a data directory, and the administrator's identity in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config = folder / "teleport.yaml"
        self.data_dir = folder / "data"
        self.data_dir.mkdir()

    def configure(self, auth_service: str) -> None:
        self.config.write_text(
            textwrap.dedent(f"""\
            version: v3
            teleport:
              nodename: here
              data_dir: {self.data_dir}
              auth_server: auth.example.com:3025
            auth_service: {auth_service}
            """)
        )

    def start_auth(self) -> Path:
        path = self.data_dir / ADMIN_IDENTITY
        path.write_text(build_identity_text())
        return path

    def log_in(self, proxy: str = "teleport.example.com:443", valid_until: datetime = VALID_UNTIL) -> Profile:
        profile = build_profile(proxy=proxy, valid_until=valid_until)
        ProfileStore(self.folder / "tsh").store(profile)
        return profile

    def find(self, flags: ClusterFlags, **environ: str) -> Target:
        environ = {"TELEPORT_HOME": str(self.folder / "tsh")} | environ
        clock = FakeClock(NOW)
        return find_cluster(flags, environ, clock=clock, default_config=self.config, default_data_dir=self.data_dir)


@pytest.fixture
def host(tmp_path: Path) -> Host:
    return Host(tmp_path)


def test_an_identity_file_goes_before_everything_else(host: Host) -> None:
    host.configure("{enabled: yes}")
    path = host.folder / "me.identity"
    path.write_text(build_identity_text())
    target = host.find(ClusterFlags(identity=str(path), auth_server="auth.example.com"))
    assert target.way == Address("auth.example.com", 3025)
    assert not target.is_local


def test_a_proxy_leads_to_the_cluster_as_well(host: Host) -> None:
    path = host.folder / "me.identity"
    path.write_text(build_identity_text())
    target = host.find(ClusterFlags(identity=str(path), proxy="proxy.example.com", insecure=True))
    assert target.way == ThroughProxy(Address("proxy.example.com", 3080), is_insecure=True)
    with pytest.raises(BadParameter, match="exclude each other"):
        host.find(ClusterFlags(identity=str(path), proxy="proxy.example.com", auth_server="auth.example.com"))


def test_an_identity_file_needs_an_address(host: Host) -> None:
    with pytest.raises(BadParameter, match="--auth-server"):
        host.find(ClusterFlags(identity="me.identity"))


def test_a_missing_identity_file_is_named(host: Host) -> None:
    with pytest.raises(NotFound, match="nothere"):
        host.find(ClusterFlags(identity="nothere", auth_server="auth.example.com"))


@pytest.mark.parametrize(
    ("listening", "dialled"),
    [
        ("0.0.0.0:4025", Address("127.0.0.1", 4025)),
        ('"[::]:4025"', Address("::1", 4025)),
        ("192.0.2.1:3025", Address("192.0.2.1", 3025)),
    ],
)
def test_the_auth_server_of_this_host_is_found_by_its_configuration(
    host: Host, listening: str, dialled: Address
) -> None:
    host.configure(f"{{enabled: yes, listen_addr: {listening}}}")
    host.start_auth()
    assert host.find(ClusterFlags()).way == dialled
    assert host.find(ClusterFlags(config=str(host.config))).is_local


def test_the_environment_names_a_configuration(host: Host, tmp_path: Path) -> None:
    host.configure("{enabled: yes}")
    host.start_auth()
    host.config.rename(tmp_path / "other.yaml")
    assert host.find(ClusterFlags(), TELEPORT_CONFIG_FILE=str(tmp_path / "other.yaml")).is_local


def test_without_a_configuration_the_default_directory_is_looked_at(host: Host) -> None:
    host.start_auth()
    assert host.find(ClusterFlags()).way == Address("127.0.0.1", 3025)


def test_a_configuration_that_was_named_must_exist(host: Host) -> None:
    with pytest.raises(NotFound, match=r"none\.yaml"):
        host.find(ClusterFlags(config=str(host.folder / "none.yaml")))


@pytest.mark.parametrize(("flag", "variable"), [("", None), (None, "")])
def test_an_empty_name_hides_the_configuration(host: Host, flag: str | None, variable: str | None) -> None:
    host.configure("{enabled: yes}")
    host.start_auth()
    environ = {} if variable is None else {"TELEPORT_CONFIG_FILE": variable}
    with pytest.raises(NotFound, match="give --proxy=HOST:443 or --auth-server"):
        host.find(ClusterFlags(config=flag), **environ)


def test_a_configuration_without_auth_says_what_to_do(host: Host) -> None:
    host.configure("{enabled: no}")
    with pytest.raises(NotFound, match="give --proxy=HOST:443 or --auth-server"):
        host.find(ClusterFlags())


def test_an_auth_server_that_never_started_says_what_to_do(host: Host) -> None:
    host.configure("{enabled: yes}")
    with pytest.raises(NotFound, match="teleport start"):
        host.find(ClusterFlags())


@pytest.mark.parametrize(
    ("flags", "auth_service"), [(ClusterFlags(), "{enabled: no}"), (ClusterFlags(config=""), "yes")]
)
def test_without_an_auth_server_here_the_login_is_meant(host: Host, flags: ClusterFlags, auth_service: str) -> None:
    host.configure(auth_service)
    profile = host.log_in()
    assert host.find(flags) == Target(ThroughProxy(profile.address), profile.identity, is_local=False)


def test_without_a_configuration_the_login_is_meant_where_no_auth_server_was_started(host: Host) -> None:
    profile = host.log_in()
    assert host.find(ClusterFlags()).identity == profile.identity
    host.start_auth()
    assert host.find(ClusterFlags()).is_local


def test_a_configuration_that_enables_auth_hides_the_login(host: Host) -> None:
    host.configure("{enabled: yes}")
    host.log_in()
    with pytest.raises(NotFound, match="teleport start"):
        host.find(ClusterFlags())


def test_the_login_at_the_named_proxy_is_meant(host: Host) -> None:
    profile = host.log_in("other.example.com:3080")
    host.log_in()
    found = host.find(ClusterFlags(proxy="other.example.com:3080", insecure=True))
    assert found.way == ThroughProxy(profile.address, is_insecure=True)
    assert found.identity == profile.identity
    assert host.find(ClusterFlags(proxy="teleport.example.com")).way == ThroughProxy(
        Address("teleport.example.com", 443)
    )
    with pytest.raises(NotFound):
        host.find(ClusterFlags(proxy="third.example.com"))


def test_a_login_that_has_expired_says_what_to_do(host: Host) -> None:
    host.log_in(valid_until=NOW)
    with pytest.raises(AccessDenied, match="has expired: log in again with `tsh login --proxy=teleport"):
        host.find(ClusterFlags())


@pytest.mark.parametrize("name", ["teleport.yaml", "data/admin.identity"])
def test_a_file_of_somebody_else_says_sudo(host: Host, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    host.configure("{enabled: yes}")
    host.start_auth()
    forbid(monkeypatch, host.folder / name)
    with pytest.raises(AccessDenied, match="sudo"):
        host.find(ClusterFlags())


async def test_an_auth_server_that_does_not_run_is_asked_about(host: Host) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))
        host.configure(f"{{enabled: yes, listen_addr: 127.0.0.1:{reserved.getsockname()[1]}}}")
        host.start_auth()
        with pytest.raises(ConnectionFailed, match="is the auth server running"):
            async with open_admin_client(ClusterFlags(config=str(host.config))) as client:
                await asyncio.wait_for(client.call(PING, Empty()), 5)


def forbid(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Refuse one file to everybody, root included."""

    def refusing(original: Callable[..., Any]) -> Callable[..., Any]:
        def open_or_refuse(name: object, *args: object, **options: object) -> object:
            if str(name) == str(path):
                raise PermissionError(13, "Permission denied", str(path))
            return original(name, *args, **options)

        return open_or_refuse

    monkeypatch.setattr(os, "open", refusing(os.open))
    monkeypatch.setattr(Path, "open", refusing(Path.open))
