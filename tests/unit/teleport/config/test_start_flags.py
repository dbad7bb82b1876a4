from pathlib import Path

import pytest

from support.configurations import HOSTNAME, PIN, find_problems, load
from teleport.config.settings import JoinParams, ServiceSettings, Target
from teleport.config.start_flags import StartFlags, parse_startable_roles
from teleport.errors import BadParameter
from teleport.resources.address import Address
from teleport.resources.role import SystemRole


def test_the_command_of_an_invitation_is_understood() -> None:
    flags = StartFlags(
        roles="node", token="abcd123-insecure-do-not-use-this", ca_pins=(PIN,), auth_server="192.0.2.0:3025"
    )
    settings = load("", flags)
    assert settings.join_params == JoinParams("token", "abcd123-insecure-do-not-use-this")
    assert settings.services == (ServiceSettings(SystemRole.NODE),)
    assert not settings.auth.enabled
    assert settings.warnings == ()


def test_an_auth_server_elsewhere_drops_role_auth() -> None:
    settings = load("", StartFlags(roles="auth,node", auth_server="auth"))
    assert not settings.auth.enabled
    assert "role auth is not started" in settings.warnings[0]


def test_roles_are_spelled_as_people_like() -> None:
    assert parse_startable_roles("Node,APP,windows_desktop") == (
        SystemRole.NODE,
        SystemRole.APP,
        SystemRole.WINDOWS_DESKTOP,
    )


@pytest.mark.parametrize("text", ["bot", "instance", "node,node", "node,,app", "ssh"])
def test_a_role_that_cannot_be_started_is_refused(text: str) -> None:
    with pytest.raises(BadParameter):
        parse_startable_roles(text)


def test_all_flags_arrive() -> None:
    settings = load(
        "",
        StartFlags(
            roles="auth,node,proxy",
            nodename="graviton",
            labels="env=prod",
            advertise_ip="10.1.0.5",
            listen_ip="127.0.0.2",
            diag_addr="127.0.0.1:3000",
            data_dir=Path("/data"),
            pid_file=Path("/run/x.pid"),
            insecure_skip_ca_pin=True,
            skip_version_check=True,
            app_name="grafana",
            app_uri="http://localhost:3000",
            app_public_addr="grafana.example.com",
            app_labels="team=blue",
        ),
    )
    assert (settings.nodename, settings.advertise_ip, settings.data_dir) == ("graviton", "10.1.0.5", Path("/data"))
    assert (settings.insecure_skip_ca_pin, settings.skip_version_check) == (True, True)
    assert settings.auth.listen_addr == Address("127.0.0.2", 3025)
    node, app, proxy = settings.services
    assert node == ServiceSettings(SystemRole.NODE, listen_addr=Address("127.0.0.2", 3022), labels={"env": "prod"})
    assert proxy.listen_addr == Address("127.0.0.2", 3080)
    assert app.targets == (
        Target(
            "grafana",
            uri="http://localhost:3000",
            public_addr="grafana.example.com",
            labels={"team": "blue"},
        ),
    )


def test_without_flags_everything_is_the_default() -> None:
    settings = load("")
    assert settings.nodename == HOSTNAME
    assert settings.insecure_skip_ca_pin is False


@pytest.mark.parametrize(
    ("flags", "problem"),
    [
        (StartFlags(roles="nod"), "--roles: invalid role 'nod'"),
        (StartFlags(nodename=""), "--nodename: is empty"),
        (StartFlags(labels="env"), "--labels: 'env' is not a label"),
        (StartFlags(listen_ip="a b"), "--listen-ip: "),
        (StartFlags(diag_addr="http://x"), "--diag-addr: "),
        (StartFlags(auth_server="https://x:3025"), "--auth-server: "),
        (StartFlags(ca_pins=(PIN, "abc")), "--ca-pin: not a CA pin"),
        (StartFlags(token="a\nb"), "--token: the join token contains a control character"),
        (StartFlags(token="/dev/zero"), "--token: '/dev/zero' is not a regular file"),
        (StartFlags(app_name="a"), "--app-name and --app-uri go together"),
        (StartFlags(app_uri="http://a", roles="app", auth_server="x"), "--app-name and --app-uri go together"),
    ],
)
def test_a_flag_that_cannot_be_is_refused_by_its_name(flags: StartFlags, problem: str) -> None:
    assert find_problems("", flags)[0].startswith(problem)


def test_a_token_may_be_in_a_file(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("token-of-a-file\n")
    path.chmod(0o600)
    settings = load("", StartFlags(roles="node", auth_server="auth", token=str(path)))
    assert settings.join_params == JoinParams("token", "token-of-a-file")


def test_secrets_are_not_in_the_repr() -> None:
    assert "secret" not in repr(StartFlags(token="secret", config_string="secret"))


def test_a_proxy_is_where_auth_is_reached_and_neither_runs_here() -> None:
    settings = load("", StartFlags(proxy="proxy.example.com:443"))
    assert settings.proxy_server == Address("proxy.example.com", 443)
    assert [service.role for service in settings.services] == [SystemRole.NODE]
    assert not settings.auth.enabled
    assert settings.warnings == ()


def test_a_proxy_s_port_is_the_web_port_if_absent() -> None:
    assert load("", StartFlags(roles="node", proxy="proxy.example.com")).proxy_server == Address(
        "proxy.example.com", 3080
    )


def test_a_process_uses_a_proxy_or_an_auth_server() -> None:
    (problem,) = find_problems("", StartFlags(roles="node", proxy="proxy", auth_server="auth"))
    assert "exclude each other" in problem


def test_a_proxy_needs_auth_s_own_address() -> None:
    (problem,) = find_problems("", StartFlags(roles="proxy", proxy="proxy.example.com"))
    assert "a proxy needs auth's own address" in problem
    load("", StartFlags(roles="proxy", auth_server="auth.example.com"))


def test_what_is_not_verified_has_a_flag_of_its_own() -> None:
    assert load("", StartFlags(roles="node", proxy="proxy", insecure=True)).is_insecure
    assert not load("", StartFlags(roles="node", proxy="proxy", insecure_skip_ca_pin=True)).is_insecure
