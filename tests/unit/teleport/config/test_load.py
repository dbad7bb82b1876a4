import base64
import contextlib
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.configurations import AUTH, HOSTNAME, NODE, PIN, find_problems, load
from teleport.config.load import load_settings, load_settings_at_start
from teleport.config.settings import JoinParams, Settings
from teleport.config.start_flags import StartFlags
from teleport.errors import BadConfiguration, BadParameter, NotFound
from teleport.resources.address import Address
from teleport.resources.role import SystemRole


def roles(settings: Settings) -> set[SystemRole]:
    enabled = {SystemRole.AUTH} if settings.auth.enabled else set()
    return enabled | {service.role for service in settings.services}


def test_a_section_that_is_missing_has_the_originals_default() -> None:
    settings = load("")
    assert roles(settings) == {SystemRole.AUTH, SystemRole.PROXY, SystemRole.NODE}
    assert settings.nodename == HOSTNAME
    assert settings.data_dir == Path("/var/lib/teleport")


def test_services_are_switched_by_any_word_for_yes_and_no() -> None:
    text = "auth_service: {enabled: NO}\nssh_service: {enabled: 0}\nproxy_service: {enabled: off}\n"
    text += (
        "kubernetes_service: {enabled: yeah}\nwindows_desktop_service: {enabled: on}\ndiscovery_service: {enabled: y}\n"
    )
    settings = load(text + "teleport: {auth_servers: [auth]}")
    assert roles(settings) == {SystemRole.KUBE, SystemRole.WINDOWS_DESKTOP, SystemRole.DISCOVERY}


def test_a_process_without_a_service_is_refused() -> None:
    text = AUTH + "auth_service: {enabled: no}\nteleport: {auth_server: auth}\n"
    assert find_problems(text) == ("no service is enabled; enable one, as ssh_service",)


def test_services_need_a_cluster() -> None:
    problems = find_problems("version: v3\nauth_service: {enabled: no}\n")
    assert len(problems) == 1
    assert "the cluster's address is missing" in problems[0]


def test_an_auth_server_that_nobody_mentioned_is_warned_of() -> None:
    assert "an auth server is started" in load("version: v3\nteleport: {auth_server: auth}\n").warnings[0]
    assert load(NODE).warnings == ()


@pytest.mark.parametrize("version", ["v4", "3", "V3", "latest"])
def test_an_unknown_version_is_refused(version: str) -> None:
    assert find_problems(f"version: {version}\n")[0].startswith("line 1: version: unknown version")


@pytest.mark.parametrize("version", ["", "version: v1\n", "version: v2\n"])
def test_old_versions_have_a_list_of_auth_servers(version: str) -> None:
    settings = load(version + "teleport:\n  auth_servers: [one:1, two:2]\nauth_service: {enabled: no}\n")
    assert settings.auth_server == Address("one", 1)
    assert "only the first address is used" in settings.warnings[0]


@pytest.mark.parametrize("key", ["auth_server", "proxy_server"])
def test_old_versions_do_not_know_the_new_addresses(key: str) -> None:
    problems = find_problems(f"version: v2\nteleport:\n  {key}: x:1\n")
    assert problems == (f"line 3: teleport.{key}: needs version: v3; in v2 there is auth_servers",)


def test_the_new_version_does_not_know_the_list() -> None:
    problems = find_problems("version: v3\nteleport:\n  auth_servers: [x:1]\n")
    assert problems == ("line 3: teleport.auth_servers: version v3 has auth_server, one address, in its place",)


def test_an_auth_server_and_a_proxy_exclude_each_other() -> None:
    assert "stands beside auth_server" in find_problems(NODE + "  proxy_server: p:443\n")[0]
    settings = load(NODE.replace("auth_server: auth:3025", "proxy_server: proxy"))
    assert settings.proxy_server == Address("proxy", 3080)
    assert settings.auth_server is None


def test_a_proxy_with_auth_s_port_is_doubted() -> None:
    settings = load(NODE.replace("auth_server: auth:3025", "proxy_server: proxy:3025"))
    assert "port 3025 is an auth server's" in settings.warnings[0]


def test_a_proxy_that_is_to_go_through_a_proxy_is_refused_even_if_nobody_mentions_it() -> None:
    text = NODE.replace("auth_server: auth:3025", "proxy_server: proxy").replace("proxy_service: {enabled: no}\n", "")
    (problem,) = find_problems(text)
    assert "a missing section means that the service runs" in problem


def test_all_problems_are_told_at_once_by_line() -> None:
    text = "version: v3\nteleport:\n  nodenam: x\n  diag_addr: 'a b'\nssh_service:\n  enabled: perhaps\n"
    problems = find_problems(text)
    assert [problem.partition(":")[0] for problem in problems] == ["line 3", "line 4", "line 6"]


def test_problems_and_warnings_name_the_file() -> None:
    with pytest.raises(BadConfiguration, match=r"^f\.yaml: line 1: x: unknown key"):
        load_settings("x: 1\n", hostname=HOSTNAME, origin="f.yaml")
    with pytest.raises(BadParameter, match=r"^f\.yaml: line 1: duplicate key"):
        load_settings("{a: 1, a: 2}", hostname=HOSTNAME, origin="f.yaml")
    settings = load_settings("okta_service: {enabled: yes}\n", hostname=HOSTNAME, origin="f.yaml")
    assert settings.warnings == ("f.yaml: line 1: okta_service: has no effect here",)


def test_the_file_wins_over_the_flags_and_the_loser_is_told() -> None:
    flags = StartFlags(nodename="flag", data_dir=Path("/flag"), token="flag-token", roles="node")
    settings = load(NODE + "  nodename: file\n", flags)
    assert (settings.nodename, settings.data_dir) == ("file", Path("/flag"))
    assert settings.join_params == JoinParams("token", "flag-token")
    assert settings.warnings == ("--nodename has no effect: the configuration file says otherwise",)


def test_the_roles_of_the_flags_stand_where_the_file_is_silent() -> None:
    text = "version: v3\nteleport: {auth_server: auth}\nauth_service: {enabled: no}\n"
    assert roles(load(text, StartFlags(roles="app"))) == {SystemRole.APP}
    settings = load(text + "app_service: {enabled: no}\nssh_service: {enabled: yes}\n", StartFlags(roles="app"))
    assert roles(settings) == {SystemRole.NODE}
    assert "--roles has no effect on the services" in settings.warnings[0]


def test_the_token_of_the_file_wins() -> None:
    settings = load(NODE + "  auth_token: file-token\n", StartFlags(token="flag-token"))
    assert settings.join_params == JoinParams("token", "file-token")
    assert "--token has no effect" in settings.warnings[0]
    assert "flag-token" not in settings.warnings[0]


def test_a_start_reads_the_configuration_that_is_named(tmp_path: Path) -> None:
    path = tmp_path / "teleport.yaml"
    path.write_text(NODE + "  nodename: from-file\n")
    settings = load_settings_at_start(StartFlags(config=path), environ={}, hostname=HOSTNAME)
    assert settings.nodename == "from-file"
    encoded = base64.b64encode(NODE.encode()).decode()
    settings = load_settings_at_start(StartFlags(config_string=encoded), environ={}, hostname=HOSTNAME)
    assert settings.nodename == HOSTNAME


def test_a_start_without_a_configuration_follows_the_flags(tmp_path: Path) -> None:
    flags = StartFlags(roles="node", token="a-join-token", auth_server="192.0.2.0:3025", ca_pins=(PIN,))
    settings = load_settings_at_start(flags, environ={}, hostname=HOSTNAME, default_path=tmp_path / "missing")
    assert roles(settings) == {SystemRole.NODE}
    assert settings.auth_server == Address("192.0.2.0", 3025)
    assert settings.ca_pins == (PIN,)


def test_no_secret_is_in_the_repr() -> None:
    text = NODE.replace("{enabled: no}", "{enabled: no, tokens: ['node:static-token-value']}", 1)
    assert "token-value" not in repr(load(text + "  auth_token: agent-token-value\n"))


@settings(deadline=None)
@given(st.text(max_size=300))
def test_loading_refuses_and_never_breaks(text: str) -> None:
    with contextlib.suppress(BadParameter, NotFound):
        load(text)


_SCALARS = st.sampled_from(
    ["yes", "no", "v3", "5m", "''", "x", "[]", "{}", "[x]", "-1", "~", "!!int x", "'\\0'", "&a 1"]
)
_KEYS = st.sampled_from(
    [
        *(
            "version",
            "teleport",
            "auth_service",
            "ssh_service",
            "app_service",
            "db_service",
            "apps",
            "commands",
            "enabled",
        ),
        *("log", "format", "output", "tokens", "storage", "ca_pin", "join_params", "rates", "labels", "<<", "1"),
    ]
)
_TREES = st.recursive(
    _SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: "[" + ", ".join(items) + "]"),
        st.dictionaries(_KEYS, inner, max_size=4).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs.items()) + "}"
        ),
    ),
    max_leaves=12,
)


@settings(deadline=None)
@given(_TREES)
def test_loading_any_tree_refuses_and_never_breaks(text: str) -> None:
    with contextlib.suppress(BadParameter, NotFound):
        load(text)
