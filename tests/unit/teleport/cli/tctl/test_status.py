import json
from datetime import UTC, datetime
from typing import Literal

import pytest
import yaml

from support.fake_cluster import (
    CLUSTER_NAME,
    HOST_CA,
    HOST_CA_PIN,
    NEXT_HOST_CA,
    NEXT_HOST_CA_PIN,
    SSH_KEY,
    FakeCluster,
    tctl_output,
)
from teleport.resources.authority import AuthoritySpec, AuthorityType, CertAuthority, KeySet, Rotation, SshKeyPair
from teleport.resources.model import Metadata

KEYS = KeySet(ssh=(SshKeyPair(public_key=SSH_KEY),))


def build_authority(kind: AuthorityType, rotation: Rotation) -> CertAuthority:
    spec = AuthoritySpec(cluster_name=CLUSTER_NAME, active_keys=KEYS, rotation=rotation)
    return CertAuthority(sub_kind=kind, metadata=Metadata(name=CLUSTER_NAME), spec=spec)


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    for kind in reversed(AuthorityType):
        cluster.add(build_authority(kind, Rotation()))
    return cluster


def test_the_status_is_that_of_the_guide(cluster: FakeCluster) -> None:
    assert tctl_output(cluster, "status") == (
        "Cluster      teleport.example.com\n"
        "Version      12.1.1\n"
        "host CA      never updated\n"
        "user CA      never updated\n"
        "db CA        never updated\n"
        "openssh CA   never updated\n"
        "jwt CA       never updated\n"
        "saml_idp CA  never updated\n"
        f"CA pin       {HOST_CA_PIN}\n"
    )


def test_during_a_rotation_there_is_a_line_for_each_pin(cluster: FakeCluster) -> None:
    cluster.host_ca = (HOST_CA, NEXT_HOST_CA)
    assert tctl_output(cluster, "status").endswith(
        f"CA pin       {HOST_CA_PIN}\nCA pin       {NEXT_HOST_CA_PIN}\n"
    )  # fmt: skip


@pytest.mark.parametrize(
    ("state", "last", "shown"),
    [
        ("standby", datetime(2024, 10, 3, 22, 12, 9, tzinfo=UTC), "rotated Oct  3 2024 22:12:09 UTC"),
        ("in_progress", None, "rotation in progress, phase update_clients"),
    ],
)
def test_a_rotation_is_put_into_words(
    cluster: FakeCluster, state: Literal["standby", "in_progress"], last: datetime | None, shown: str
) -> None:
    phase: Literal["standby", "update_clients"] = "update_clients" if state == "in_progress" else "standby"
    cluster.add(build_authority(AuthorityType.HOST, Rotation(state=state, phase=phase, last_rotated=last)))
    assert f"host CA      {shown}\n" in tctl_output(cluster, "status")


def test_json_and_yaml_say_the_same(cluster: FakeCluster) -> None:
    plain = json.loads(tctl_output(cluster, "status", "--format=json"))
    assert plain == yaml.safe_load(tctl_output(cluster, "status", "--format=yaml"))
    assert plain["cluster"] == CLUSTER_NAME
    assert plain["version"] == "12.1.1"
    assert plain["ca_pins"] == [HOST_CA_PIN]
    assert plain["authorities"][0] == {"type": "host", "state": "standby", "phase": "standby"}
