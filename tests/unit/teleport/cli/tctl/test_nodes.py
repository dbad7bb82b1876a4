import json

import pytest
import yaml

from support.fake_cluster import HOST_CA_PIN, NOW, FakeCluster, run_tctl, tctl_output
from teleport.cli.searching import MAX_SEARCH_LENGTH, parse_search
from teleport.cli.tctl.server_table import render_servers
from teleport.errors import BadParameter
from teleport.resources.model import Metadata
from teleport.resources.presence import Server, ServerSpec

UUID = "6805dda3-779e-493b-8e9f-7b1f1c1de0a5"


def build_node(hostname: str = "1f58429134c4", host_id: str = UUID, **labels: str) -> Server:
    return Server(
        kind="node",
        metadata=Metadata(name=host_id, labels=labels),
        spec=ServerSpec(host_id=host_id, hostname=hostname, version="18.7.3", dynamic_labels={"hostname": hostname}),
    )


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.add(build_node(env="prod"))
    cluster.add(build_node("web-1", "1c2d", env="stage", region="us east"))
    return cluster


def test_the_table_has_the_columns_of_the_guide(cluster: FakeCluster) -> None:
    assert tctl_output(cluster, "nodes", "ls", "env=prod") == (
        "Host         UUID                                 Public Address Labels                         Version\n"
        "------------ ------------------------------------ -------------- ------------------------------ -------\n"
        "1f58429134c4 6805dda3-779e-493b-8e9f-7b1f1c1de0a5                env=prod,hostname=1f58429134c4 18.7.3\n"
    )


def test_a_terminal_cuts_the_uuid_as_in_the_guide() -> None:
    table = render_servers([build_node()], width=100)
    assert "6805dda3-779e-493b..." in table
    assert max(map(len, table.splitlines())) <= 100


def test_a_pipe_gets_everything(cluster: FakeCluster) -> None:
    cluster.add(build_node("big", "ff", long="x" * 1000))
    assert "x" * 1000 in tctl_output(cluster, "nodes", "ls", env={"COLUMNS": "80"})


def test_labels_search_and_both(cluster: FakeCluster) -> None:
    def hosts(*args: str) -> list[str]:
        found = json.loads(tctl_output(cluster, "nodes", "ls", "--format=json", *args))
        return [node["spec"]["hostname"] for node in found]

    assert hosts() == ["1f58429134c4", "web-1"]
    assert hosts("env=stage") == ["web-1"]
    assert hosts("env=stage,hostname=web-1") == ["web-1"]
    assert hosts("env=prod,hostname=web-1") == []
    assert hosts("--search=WEB,stage") == ["web-1"]
    assert hosts("--search", '"us east"') == ["web-1"]
    assert hosts("--search=web,prod") == []


def test_yaml_is_a_stream(cluster: FakeCluster) -> None:
    assert len(list(yaml.safe_load_all(tctl_output(cluster, "nodes", "ls", "--format=yaml")))) == 2


def test_hostile_63_a_heartbeat_cannot_steer_the_terminal(cluster: FakeCluster) -> None:
    cluster.add(build_node("\x1b]0;owned\x07", "aa", forged="a\nweb-9 id"))
    for args in ([], ["-v"], ["--format=json"], ["--format=yaml"]):
        assert "\x1b" not in tctl_output(cluster, "nodes", "ls", *args)
    assert len(tctl_output(cluster, "nodes", "ls").splitlines()) == 2 + 3


def test_a_bad_filter_is_a_usage_error(cluster: FakeCluster) -> None:
    assert run_tctl(cluster, "nodes", "ls", "env").exit_code == 2
    assert run_tctl(cluster, "nodes", "ls", "--format=names").exit_code == 2


def test_a_search_is_bounded() -> None:
    assert parse_search("x" * MAX_SEARCH_LENGTH) == ["x" * MAX_SEARCH_LENGTH]
    with pytest.raises(BadParameter):
        parse_search("x" * (MAX_SEARCH_LENGTH + 1))


def test_a_host_is_invited_with_the_text_for_nodes(cluster: FakeCluster) -> None:
    output = tctl_output(
        cluster, "nodes", "add", "--ttl=5m", "--roles=proxy", "--token=abcd123-insecure-do-not-use-this"
    )
    assert output.startswith(
        "The invite token: abcd123-insecure-do-not-use-this\nThis token will expire in 5 minutes.\n"
    )
    assert (
        f"   --roles=proxy \\\n   --token=abcd123-insecure-do-not-use-this \\\n   --ca-pin={HOST_CA_PIN} \\\n" in output
    )
    assert output.endswith("  - 192.0.2.0:3025 must be reachable from the new node\n")


def test_a_host_is_invited_as_a_node_for_30_minutes(cluster: FakeCluster) -> None:
    assert "--roles=node" in tctl_output(cluster, "nodes", "add")
    expires = cluster.resources["token", cluster.tokens()[0]].metadata.expires
    assert expires
    assert (expires - NOW).total_seconds() == 1800


def test_case_cli_010_json_is_an_array_of_one_string(cluster: FakeCluster) -> None:
    output = tctl_output(cluster, "nodes", "add", "--format=json")
    assert json.loads(output) == cluster.tokens()
