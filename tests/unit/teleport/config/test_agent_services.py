from datetime import timedelta

import pytest

from support.configurations import NODE, find_problems, load
from teleport.config.settings import LabelCommand, Rewrite, ServiceSettings, Target
from teleport.resources.address import Address
from teleport.resources.role import SystemRole

ALONE = NODE + "ssh_service: {enabled: no}\n"


def only(text: str) -> ServiceSettings:
    (service,) = load(text).services
    return service


def test_a_node_has_labels_and_commands() -> None:
    service = only(
        NODE
        + """\
ssh_service:
  listen_addr: 0.0.0.0:4022
  public_addr: node.example.com
  labels: {env: prod}
  commands:
  - name: arch
    command: [/bin/uname, -p]
    period: 1h0m0s
  - name: hostname
    command: [hostname]
"""
    )
    assert service == ServiceSettings(
        SystemRole.NODE,
        listen_addr=Address("0.0.0.0", 4022),
        public_addrs=(Address("node.example.com", 3022),),
        labels={"env": "prod"},
        commands=(
            LabelCommand("arch", ("/bin/uname", "-p"), timedelta(hours=1)),
            LabelCommand("hostname", ("hostname",), timedelta(minutes=1)),
        ),
    )


@pytest.mark.parametrize(
    ("command", "problem"),
    [
        ("{command: [x]}", "commands[].name: is missing"),
        ("{name: x}", "commands[].command: is missing"),
        ("{name: x, command: []}", "commands[].command: is missing"),
        ("{name: x, command: ['']}", "commands[].command: is missing"),
        ("{name: x, command: [x], period: 999ms}", "commands[].period: expected from 1s"),
        ("{name: x, command: [x], shell: yes}", "commands[].shell: unknown key"),
    ],
)
def test_a_command_without_its_parts_is_refused(command: str, problem: str) -> None:
    problems = find_problems(NODE + f"ssh_service: {{commands: [{command}]}}\n")
    assert f"ssh_service.{problem}" in problems[0]


def test_a_command_runs_once_a_second_at_most() -> None:
    service = only(NODE + "ssh_service: {commands: [{name: x, command: [x], period: 1s}]}\n")
    assert service.commands[0].period == timedelta(seconds=1)


def test_applications_are_targets() -> None:
    service = only(
        ALONE
        + """\
app_service:
  enabled: yes
  apps:
  - name: grafana
    uri: http://localhost:3000
    public_addr: grafana.example.com
    description: Charts
    labels: {env: prod}
    commands: [{name: os, command: [uname], period: 5s}]
    insecure_skip_verify: yes
    rewrite: {redirect: Internal.example, headers: ["X-Team: {{external.team}}"], jwt_claims: none}
"""
    )
    assert service.targets == (
        Target(
            "grafana",
            uri="http://localhost:3000",
            description="Charts",
            public_addr="grafana.example.com",
            labels={"env": "prod"},
            commands=(LabelCommand("os", ("uname",), timedelta(seconds=5)),),
            insecure_skip_verify=True,
            rewrite=Rewrite(
                redirect=("internal.example",), headers=(("X-Team", "{{external.team}}"),), jwt_claims="none"
            ),
        ),
    )


def test_databases_are_targets() -> None:
    text = "{name: db, protocol: postgres, uri: 'h:5432', static_labels: {a: b}}"
    assert only(ALONE + f"db_service: {{enabled: yes, databases: [{text}]}}\n").targets == (
        Target("db", uri="h:5432", protocol="postgres", labels={"a": "b"}),
    )


def test_a_kubernetes_cluster_is_a_target() -> None:
    text = "kubernetes_service: {enabled: yes, kube_cluster_name: prod, labels: {a: b}}\n"
    assert only(ALONE + text) == ServiceSettings(SystemRole.KUBE, labels={"a": "b"}, targets=(Target("prod"),))


@pytest.mark.parametrize(
    "text",
    [
        "app_service: {enabled: yes, apps: [{name: a}]}",
        "app_service: {enabled: yes, apps: [{uri: 'http://a'}]}",
        "app_service: {enabled: yes, apps: [{name: A b, uri: 'http://a'}]}",
        "app_service: {enabled: yes, apps: [{name: a, uri: 'http://a'}, {name: a, uri: 'http://b'}]}",
        "app_service: {enabled: yes, denied_hosts: [127.0.0.0/8]}",
        "app_service: {enabled: yes, debug_app: yes}",
        "app_service: {enabled: yes, apps: [{name: a, uri: 'http://a', rewrite: {headers: ['A: {{b}}']}}]}",
        "app_service: {enabled: yes, apps: [{name: a, uri: 'http://a', rewrite: {jwt_claims: all}}]}",
        "app_service: {enabled: yes, apps: [{name: a, uri: 'http://a', rewrite: {other: x}}]}",
        "db_service: {enabled: yes, databases: [{name: a, uri: x}]}",
        "proxy_service_x: {enabled: yes}",
        "windows_desktop_service: {enabled: yes, commands: []}",
    ],
)
def test_what_cannot_be_served_is_refused(text: str) -> None:
    assert find_problems(ALONE + text + "\n")


@pytest.mark.parametrize("line", ["pam: {enabled: yes}", "enhanced_recording: {enabled: yes}"])
def test_a_promise_of_safety_that_would_not_be_kept_is_refused(line: str) -> None:
    assert find_problems(NODE + f"ssh_service: {{{line}}}\n")[0].startswith("line 6: ssh_service.")


def test_mistakes_in_a_section_that_is_switched_off_show_as_well() -> None:
    assert find_problems(NODE + "app_service: {enabled: no, apps: [{name: a}]}\n")


def test_a_proxy_listens_where_it_is_told_and_the_rest_is_warned_of() -> None:
    text = "version: v3\nteleport: {auth_server: auth}\nauth_service: {enabled: no}\nssh_service: {enabled: no}\n"
    text += "proxy_service: {web_listen_addr: '0.0.0.0:443', public_addr: 'p.example.com:443', acme: {enabled: yes}}\n"
    settings = load(text)
    assert settings.services == (
        ServiceSettings(
            SystemRole.PROXY, listen_addr=Address("0.0.0.0", 443), public_addrs=(Address("p.example.com", 443),)
        ),
    )
    assert settings.warnings == ("line 5: proxy_service.acme: has no effect here",)
