import json

import pytest

from support.fake_cluster import FakeCluster, run_tctl, tctl_output
from teleport.cli.tctl.inventory_list import parse_version
from teleport.errors import BadParameter
from teleport.resources.model import Metadata
from teleport.resources.presence import Instance, InstanceSpec
from teleport.resources.role import SystemRole


def build_instance(name: str, version: str, *services: SystemRole) -> Instance:
    spec = InstanceSpec(hostname=f"host-{name}", version=version, services=services)
    return Instance(metadata=Metadata(name=name), spec=spec)


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.add(build_instance("c", "1.1.0", SystemRole.NODE))
    cluster.add(build_instance("a", "1.0.0", SystemRole.NODE, SystemRole.APP))
    cluster.add(build_instance("b", "", SystemRole.PROXY))
    return cluster


def test_the_list_has_the_columns_of_the_original(cluster: FakeCluster) -> None:
    lines = tctl_output(cluster, "inventory", "ls").splitlines()
    assert lines[0] == "Server ID Hostname Services Agent Version Upgrader Upgrader Version Update Group"
    assert [line.split()[:4] for line in lines[2:]] == [
        ["a", "host-a", "Node,App", "1.0.0"],
        ["b", "host-b", "Proxy", "none"],
        ["c", "host-c", "Node", "1.1.0"],
    ]


@pytest.mark.parametrize(
    ("args", "names"),
    [
        ([], "abc"),
        (["--older-than=1.1.0"], "a"),
        (["--newer-than=1.0.0"], "c"),
        (["--exact-version=v1.0.0"], "a"),
        (["--newer-than=1.0.0-rc.1", "--older-than=1.1.0"], "a"),
        (["--services=node"], "ac"),
        (["--services=node,app"], "a"),
    ],
)
def test_filters_must_all_hold(cluster: FakeCluster, args: list[str], names: str) -> None:
    found = json.loads(tctl_output(cluster, "inventory", "list", "--format=json", *args))
    assert "".join(instance["metadata"]["name"] for instance in found) == names


def test_the_status_counts_versions_and_services(cluster: FakeCluster) -> None:
    assert tctl_output(cluster, "inventory", "status") == (
        "Versions:\n  1.0.0: 1\n  1.1.0: 1\n  none: 1\n"
        "Upgraders:\n  none: 3\n"
        "Services:\n  App: 1\n  Node: 2\n  Proxy: 1\n"
        "Total Instances: 3\n"
    )
    assert json.loads(tctl_output(cluster, "inventory", "status", "--format=json"))["total_instances"] == 3


def test_connected_shows_one_line_each(cluster: FakeCluster) -> None:
    lines = tctl_output(cluster, "inventory", "status", "--connected").splitlines()
    assert lines[0].split() == ["Server", "ID", "Services", "Version", "Upgrader"]
    assert lines[2].split() == ["a", "Node,App", "1.0.0", "none"]
    assert len(json.loads(tctl_output(cluster, "inventory", "status", "--connected", "--format=json"))) == 3


@pytest.mark.parametrize("args", [["ls", "--format=yaml"], ["ls", "--older-than=1"], ["ls", "--services=x"]])
def test_a_usage_error_gives_2(cluster: FakeCluster, args: list[str]) -> None:
    assert run_tctl(cluster, "inventory", *args).exit_code == 2


def test_what_comes_before_a_release_sorts_before_it() -> None:
    assert (
        parse_version("1.0.0-rc.1") < parse_version("1.0.0") == parse_version("v1.0.0+build") < parse_version("1.0.1")
    )
    with pytest.raises(BadParameter):
        parse_version("1.0")
