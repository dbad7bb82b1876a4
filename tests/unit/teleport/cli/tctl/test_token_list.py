import json
from datetime import UTC, datetime, timedelta

import pytest
import yaml

from support.fake_cluster import NOW, FakeCluster, run_tctl, tctl_output
from teleport.errors import ConnectionFailed
from teleport.resources.role import SystemRole

NODE = "abcd123-insecure-do-not-use-this"
PROXY = "efgh456-insecure-do-not-use-this"
MASKED_NODE = "*" * 24 + "use-this"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.add_token(PROXY, (SystemRole.PROXY,), NOW + timedelta(minutes=11, seconds=8))
    cluster.add_token(NODE, (SystemRole.NODE,), NOW + timedelta(minutes=7, seconds=8))
    return cluster


def test_the_table_with_secrets_is_that_of_the_guide(cluster: FakeCluster) -> None:
    assert tctl_output(cluster, "tokens", "ls", "--with-secrets") == (
        "Token                            Type  Labels Expiry Time (UTC)\n"
        "-------------------------------- ----- ------ ---------------------------\n"
        "abcd123-insecure-do-not-use-this Node         30 Mar 23 18:20 UTC (7m8s)\n"
        "efgh456-insecure-do-not-use-this Proxy        30 Mar 23 18:24 UTC (11m8s)\n"
    )


def test_case_cli_006_static_tokens_stand_first_and_end_never_and_names_are_masked(cluster: FakeCluster) -> None:
    cluster.add_token("static-0123456789", labels={"teleport.dev/origin": "config-file"})
    cluster.add_token("epoch-0123456789", expires=EPOCH)
    cluster.add_token("kubernetes-token", method="kubernetes")
    rows = tctl_output(cluster, "tokens", "ls").splitlines()
    assert rows[0].split("  ")[0].strip() == "Token"
    assert [row.split()[0] for row in rows[2:]] == [
        "************56789",
        "************6789",
        "kubernetes-token",
        MASKED_NODE,
        "*" * 24 + "use-this",
    ]
    assert [row.split()[-1] for row in rows[2:5]] == ["never"] * 3


@pytest.mark.parametrize("output_format", ["json", "yaml", "text", None])
def test_case_cli_008_names_are_masked_in_every_format_unless_secrets_are_asked_for(
    cluster: FakeCluster, output_format: str | None
) -> None:
    args = ["tokens", "ls", *([f"--format={output_format}"] if output_format else [])]
    assert NODE not in tctl_output(cluster, *args)
    assert MASKED_NODE in tctl_output(cluster, *args)
    assert NODE in tctl_output(cluster, *args, "--with-secrets")


def test_of_a_token_that_an_operator_keeps_people_see_which_object_it_comes_from(cluster: FakeCluster) -> None:
    labels = {
        "env": "prod",
        "teleport.dev/origin": "kubernetes",
        "resources.teleport.dev/object": "team-a/web",
        "resources.teleport.dev/operator": "teleport-operator",
        "resources.teleport.dev/uid": "0b9b8f9e-8a3a-4a2e-9b1c-3f1f4f0c5a6b",
        "resources.teleport.dev/declared": "0123456789abcdef",
    }
    cluster.add_token("web", labels=labels, method="kubernetes")
    row = next(row for row in tctl_output(cluster, "tokens", "ls").splitlines() if row.startswith("web "))
    assert row.split() == ["web", "Node", "env=prod,object=team-a/web", "never"]
    found = json.loads(tctl_output(cluster, "tokens", "ls", "--format=json", "--labels=env=prod"))
    assert found[0]["metadata"]["labels"] == labels


def test_labels_that_people_give_are_shown_whole(cluster: FakeCluster) -> None:
    cluster.add_token("by-hand", labels={"teleport.dev/origin": "kubernetes", "object": "a"}, method="kubernetes")
    row = next(row for row in tctl_output(cluster, "tokens", "ls").splitlines() if row.startswith("by-hand "))
    assert row.split()[2] == "object=a,teleport.dev/origin=kubernetes"


def test_json_is_an_array_of_whole_resources(cluster: FakeCluster) -> None:
    first, second = json.loads(tctl_output(cluster, "tokens", "ls", "--format=json"))
    assert first["metadata"]["name"] == MASKED_NODE
    assert second["spec"] == {"roles": ["Proxy"], "join_method": "token"}


def test_yaml_is_a_stream_of_whole_resources(cluster: FakeCluster) -> None:
    documents = list(yaml.safe_load_all(tctl_output(cluster, "tokens", "ls", "--format=yaml")))
    assert [document["kind"] for document in documents] == ["token", "token"]


def test_without_tokens_the_table_is_its_header_and_text_says_so() -> None:
    cluster = FakeCluster()
    assert tctl_output(cluster, "tokens", "ls").splitlines()[0] == "Token Type Labels Expiry Time (UTC)"
    assert tctl_output(cluster, "tokens", "ls", "--format=text") == "No active tokens found.\n"
    assert tctl_output(cluster, "tokens", "ls", "--format=json") == "[]\n"


def test_labels_filter_by_all_pairs(cluster: FakeCluster) -> None:
    cluster.add_token("a" * 16, labels={"env": "prod", "team": "core"})
    cluster.add_token("b" * 16, labels={"env": "prod"})
    output = tctl_output(cluster, "tokens", "ls", "--labels=env=prod,team=core", "--with-secrets", "--format=text")
    assert output == "a" * 16 + "\n"
    assert "env=prod,team=core" in tctl_output(cluster, "tokens", "ls")


def test_case_role_008_signup_is_shown_as_password(cluster: FakeCluster) -> None:
    cluster.add_token("c" * 16, (SystemRole.SIGNUP,))
    assert "Password" in tctl_output(cluster, "tokens", "ls")


@pytest.mark.parametrize(
    ("remaining", "shown"),
    [(36, "36s"), (279, "4m39s"), (3600, "1h0m0s"), (0.6, "1s"), (0.4, "0s"), (-5, "0s")],
)
def test_the_remaining_time_is_rounded_to_seconds(remaining: float, shown: str) -> None:
    cluster = FakeCluster()
    cluster.add_token("d" * 16, expires=NOW + timedelta(seconds=remaining))
    assert tctl_output(cluster, "tokens", "ls").rstrip().endswith(f"({shown})")


def test_all_pages_are_read(cluster: FakeCluster) -> None:
    cluster.page_size = 1
    assert len(json.loads(tctl_output(cluster, "tokens", "ls", "--format=json"))) == 2


def test_a_server_that_repeats_a_page_does_not_hold_us_forever(cluster: FakeCluster) -> None:
    cluster.page_size = 0
    assert isinstance(run_tctl(cluster, "tokens", "ls").exception, ConnectionFailed)


def test_hostile_63_a_label_cannot_steer_the_terminal(cluster: FakeCluster) -> None:
    cluster.add_token("e" * 16, labels={"x": "\x1b[2J\nforged"})
    for output_format in ("json", "yaml", "text"):
        assert "\x1b" not in tctl_output(cluster, "tokens", "ls", f"--format={output_format}")
    assert "\\x1b[2J\\nforged" in tctl_output(cluster, "tokens", "ls")


def test_a_bad_label_filter_is_a_usage_error(cluster: FakeCluster) -> None:
    assert run_tctl(cluster, "tokens", "ls", "--labels=env").exit_code == 2
