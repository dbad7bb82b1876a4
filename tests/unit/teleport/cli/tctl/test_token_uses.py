import json
from datetime import UTC, datetime

import pytest

from support.fake_cluster import FakeCluster, run_tctl, tctl_output
from teleport.api.messages import TokenUse
from teleport.errors import NotFound

TOKEN = "abcd123-insecure-do-not-use-this"


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.add_token(TOKEN)
    for outcome in ("role_not_granted", "success"):
        cluster.uses.append(
            TokenUse(
                time=datetime(2023, 3, 30, 18, 0, 5, tzinfo=UTC),
                host_id="6805dda3",
                remote_addr="192.0.2.7",
                role="Node",
                outcome=outcome,
            )
        )
    return cluster


def test_the_ledger_is_a_table(cluster: FakeCluster) -> None:
    assert tctl_output(cluster, "tokens", "uses", TOKEN) == (
        "Time (UTC)          Host ID  Remote Address Role Outcome\n"
        "------------------- -------- -------------- ---- ----------------\n"
        "2023-03-30 18:00:05 6805dda3 192.0.2.7      Node role_not_granted\n"
        "2023-03-30 18:00:05 6805dda3 192.0.2.7      Node success\n"
    )


def test_the_token_may_be_named_as_lists_show_it(cluster: FakeCluster) -> None:
    output = tctl_output(cluster, "tokens", "uses", "*" * 24 + "use-this", "--format=json", "--limit=1")
    assert [use["outcome"] for use in json.loads(output)] == ["role_not_granted"]


def test_an_unknown_token_is_not_found(cluster: FakeCluster) -> None:
    assert isinstance(run_tctl(cluster, "tokens", "uses", "unknown").exception, NotFound)


@pytest.mark.parametrize(("limit", "status"), [("0", 2), ("1", 0), ("1000", 0), ("1001", 2)])
def test_the_limit_is_bounded(cluster: FakeCluster, limit: str, status: int) -> None:
    assert run_tctl(cluster, "tokens", "uses", TOKEN, f"--limit={limit}").exit_code == status
