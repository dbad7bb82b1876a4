import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from support.fake_cluster import (
    HOST_CA,
    HOST_CA_PIN,
    NEXT_HOST_CA,
    NEXT_HOST_CA_PIN,
    NOW,
    FakeCluster,
    run_tctl,
    tctl_output,
)
from teleport.errors import AlreadyExists, BadParameter, ConnectionFailed, Unavailable

GUIDE_TEXT = f"""\
The invite token: abcd123-insecure-do-not-use-this
This token will expire in 5 minutes.

Run this on the new node to join the cluster:

> teleport start \\
   --roles=node \\
   --token=abcd123-insecure-do-not-use-this \\
   --ca-pin={HOST_CA_PIN} \\
   --auth-server=192.0.2.0:3025

Please note:

  - This invitation token will expire in 5 minutes
  - 192.0.2.0:3025 must be reachable from the new node
"""


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


def test_the_invitation_is_that_of_the_guide(cluster: FakeCluster) -> None:
    output = tctl_output(
        cluster, "tokens", "add", "--ttl=5m", "--type=node", "--value=abcd123-insecure-do-not-use-this"
    )
    assert output == GUIDE_TEXT
    token = cluster.resources["token", "abcd123-insecure-do-not-use-this"]
    assert token.metadata.expires == NOW + timedelta(minutes=5)


def test_a_random_token_is_32_hexadecimal_characters_and_lives_for_30_minutes(cluster: FakeCluster) -> None:
    output = tctl_output(cluster, "tokens", "add", "--type=node", "--format=text")
    (name,) = cluster.tokens()
    assert output == name + "\n"
    assert len(bytes.fromhex(name)) == 16
    assert cluster.resources["token", name].metadata.expires == NOW + timedelta(minutes=30)


def test_case_cli_002_kube_alone_adds_app_and_discovery(cluster: FakeCluster) -> None:
    output = tctl_output(cluster, "tokens", "add", "--type=kube", "--format=json")
    assert json.loads(output) == {
        "token": cluster.tokens()[0],
        "roles": ["Kube", "App", "Discovery"],
        "expires": "2023-03-30T18:42:52Z",
    }
    assert output.startswith('{\n "token"')
    assert not output.endswith("\n")


def test_kube_beside_another_role_adds_nothing(cluster: FakeCluster) -> None:
    output = tctl_output(cluster, "tokens", "add", "--type=kube,node", "--format=yaml")
    assert yaml.safe_load(output)["roles"] == ["Kube", "Node"]


def test_case_cli_004_during_a_rotation_there_is_a_pin_for_each_certificate(cluster: FakeCluster) -> None:
    cluster.host_ca = (HOST_CA, NEXT_HOST_CA)
    output = tctl_output(cluster, "tokens", "add", "--type=node")
    assert f"   --ca-pin={HOST_CA_PIN} \\\n   --ca-pin={NEXT_HOST_CA_PIN} \\\n" in output


@pytest.mark.parametrize("operation", ["ping", "trust_bundle"])
def test_a_failed_look_up_leaves_no_token_behind(cluster: FakeCluster, operation: str) -> None:
    cluster.fail(operation, ConnectionFailed("gone"))
    assert isinstance(run_tctl(cluster, "tokens", "add", "--type=node").exception, ConnectionFailed)
    assert cluster.tokens() == []


def test_a_cluster_without_an_address_makes_no_token(cluster: FakeCluster) -> None:
    cluster.auth_addresses = ()
    assert isinstance(run_tctl(cluster, "tokens", "add", "--type=node").exception, Unavailable)
    assert cluster.tokens() == []


def test_case_gen_003_a_taken_value_is_refused_with_a_hint_and_without_the_secret(cluster: FakeCluster) -> None:
    cluster.add_token("0123456789abcdef")
    error = run_tctl(cluster, "tokens", "add", "--type=node", "--value=0123456789abcdef").exception
    assert isinstance(error, AlreadyExists)
    assert "choose another" in error.message
    assert "0123456789" not in error.message


@pytest.mark.parametrize(("length", "warned"), [(7, False), (8, True), (15, True), (16, False)])
def test_a_value_shorter_than_16_characters_is_warned_of(cluster: FakeCluster, length: int, warned: bool) -> None:
    result = run_tctl(cluster, "tokens", "add", "--type=node", "--value=" + "x" * length, "--format=text")
    assert result.exit_code == 0
    assert ("WARNING" in result.stderr) is warned
    assert result.stdout == "x" * length + "\n"


@pytest.mark.parametrize(
    "value", ["line\nbreak-0123456789", "nul\x00-0123456789abc", "\x9b31m-0123456789abc", "x" * 1025, ""]
)
def test_hostile_31_a_value_that_could_act_when_printed_is_refused(cluster: FakeCluster, value: str) -> None:
    assert isinstance(run_tctl(cluster, "tokens", "add", "--type=node", "--value", value).exception, BadParameter)
    assert cluster.calls == []


def test_hostile_31_a_value_with_quotes_cannot_break_out_of_the_command(cluster: FakeCluster) -> None:
    output = tctl_output(cluster, "tokens", "add", "--type=node", "--value", "x'; rm -rf / #0123456789")
    assert """--token='x'"'"'; rm -rf / #0123456789' \\""" in output


def test_hostile_31_a_leading_dash_stays_part_of_the_value(cluster: FakeCluster) -> None:
    output = tctl_output(cluster, "tokens", "add", "--type=node", "--value=-0123456789abcdef")
    assert "   --token=-0123456789abcdef \\" in output


def test_labels_go_to_the_token(cluster: FakeCluster) -> None:
    tctl_output(cluster, "tokens", "add", "--type=node", "--labels=env=prod,team=core")
    assert cluster.resources["token", cluster.tokens()[0]].metadata.labels == {"env": "prod", "team": "core"}


@pytest.mark.parametrize(
    "args",
    [
        [],
        ["--type=node,,app"],
        ["--type=node,node"],
        ["--type=nonsense"],
        ["--type=node", "--ttl=5"],
        ["--type=node", "--ttl=0"],
        ["--type=node", "--ttl=-5m"],
        ["--type=node", "--ttl=900000h"],
        ["--type=node", "--format=xml"],
        ["--type=node", "--labels=env"],
    ],
)
def test_a_usage_error_gives_2_and_asks_nobody(cluster: FakeCluster, args: list[str]) -> None:
    assert run_tctl(cluster, "tokens", "add", *args).exit_code == 2
    assert cluster.calls == []


@pytest.mark.parametrize(
    ("ttl", "life"), [("1h30m", "90 minutes"), ("90s", "1 minutes"), ("60s", "1 minutes"), ("59s", "59 seconds")]
)
def test_minutes_in_the_node_text_are_whole_and_none_is_nought(cluster: FakeCluster, ttl: str, life: str) -> None:
    output = tctl_output(cluster, "tokens", "add", "--type=node", f"--ttl={ttl}")
    assert f"This token will expire in {life}.\n" in output
    assert f"This invitation token will expire in {life}\n" in output


@pytest.mark.parametrize("command", [["tokens", "add"], ["nodes", "add"]])
def test_the_life_that_help_tells_is_the_default_one(cluster: FakeCluster, command: list[str]) -> None:
    assert "[default: 30m]" in tctl_output(cluster, *command, "--help")


@pytest.mark.parametrize("role", ["kube", "app", "db"])
def test_without_a_proxy_the_text_is_that_for_nodes(cluster: FakeCluster, role: str) -> None:
    output = tctl_output(cluster, "tokens", "add", f"--type={role}")
    assert "Run this on the new node to join the cluster" in output
    assert "192.0.2.0:3025 must be reachable" in output


@pytest.mark.parametrize(
    ("role", "expected"),
    [
        ("kube", '--set roles="kube\\,app\\,discovery" \\'),
        ("app", "   --app-name=grafana \\\n   --app-uri=http://localhost:3000\n"),
        ("db", "    - name: orders\n      protocol: mysql\n      uri: localhost:3306\n"),
        ("app,db", "--app-name=grafana"),
    ],
)
def test_with_a_proxy_the_text_is_the_roles_own(cluster: FakeCluster, role: str, expected: str) -> None:
    cluster.proxy_addresses = ("proxy.example.com:443",)
    hints = ("--app-name=grafana", "--app-uri=http://localhost:3000")
    db_hints = ("--db-name=orders", "--db-protocol=mysql", "--db-uri=localhost:3306")
    output = tctl_output(cluster, "tokens", "add", f"--type={role}", "--ttl=90s", *hints, *db_hints)
    assert expected in output
    assert "expire in 1.5 minutes" in output
    assert "proxy.example.com:443 must be reachable" in output


def test_a_node_is_invited_to_auth_even_beside_a_proxy(cluster: FakeCluster) -> None:
    cluster.proxy_addresses = ("proxy.example.com:443",)
    assert "--auth-server=192.0.2.0:3025" in tctl_output(cluster, "tokens", "add", "--type=node")


def test_the_end_is_a_whole_second(cluster: FakeCluster) -> None:
    tctl_output(cluster, "tokens", "add", "--type=node", "--ttl=1.5s")
    assert cluster.resources["token", cluster.tokens()[0]].metadata.expires == datetime(
        2023, 3, 30, 18, 12, 53, tzinfo=UTC
    )
