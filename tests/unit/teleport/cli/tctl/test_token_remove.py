import pytest

from support.fake_cluster import FakeCluster, run_tctl, tctl_output
from teleport.errors import BadParameter, NotFound

TOKEN = "abcd123-insecure-do-not-use-this"
MASKED = "*" * 24 + "use-this"


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.add_token(TOKEN)
    return cluster


@pytest.mark.parametrize("typed", [TOKEN, MASKED])
@pytest.mark.parametrize("command", ["rm", "del"])
def test_a_token_is_removed_by_its_name_or_as_lists_show_it(cluster: FakeCluster, command: str, typed: str) -> None:
    assert tctl_output(cluster, "tokens", command, typed) == f"Token {typed} has been deleted\n"
    assert cluster.tokens() == []


def test_a_full_name_needs_no_list(cluster: FakeCluster) -> None:
    tctl_output(cluster, "tokens", "rm", TOKEN)
    assert cluster.called("resources/list") == []


def test_an_ambiguous_mask_removes_nothing(cluster: FakeCluster) -> None:
    cluster.add_token("efgh456-insecure-do-not-use-this")
    error = run_tctl(cluster, "tokens", "rm", MASKED).exception
    assert isinstance(error, BadParameter)
    assert "2 tokens look like" in error.message
    assert len(cluster.tokens()) == 2


def test_a_name_that_holds_a_star_is_taken_as_it_is(cluster: FakeCluster) -> None:
    cluster.add_token("star*name-0123456")
    tctl_output(cluster, "tokens", "rm", "star*name-0123456")
    assert cluster.tokens() == [TOKEN]


@pytest.mark.parametrize("typed", ["unknown-0123456789", "*" * 12 + "6789"])
def test_an_unknown_token_is_not_found(cluster: FakeCluster, typed: str) -> None:
    assert isinstance(run_tctl(cluster, "tokens", "rm", typed).exception, NotFound)


def test_a_static_token_stays(cluster: FakeCluster) -> None:
    cluster.add_token("static-0123456789", labels={"teleport.dev/origin": "config-file"})
    assert isinstance(run_tctl(cluster, "tokens", "rm", "static-0123456789").exception, BadParameter)
    assert "static-0123456789" in cluster.tokens()


def test_a_missing_argument_is_a_usage_error(cluster: FakeCluster) -> None:
    assert run_tctl(cluster, "tokens", "rm").exit_code == 2
