"""What fails: operators that are killed or away, an auth server that is, an API server that starts anew."""

import signal
from collections.abc import Iterator
from contextlib import suppress

import pytest

from support.cluster import AuthServer
from support.kube_apiserver import KubeApiServer
from support.operator_cluster import NAMESPACE, Document, Objects, OperatorFactory, find_token
from support.operator_specs import build_spec
from support.processes import wait_until

LEASE = f"/apis/coordination.k8s.io/v1/namespaces/{NAMESPACE}/leases/teleport-operator"


@pytest.fixture(autouse=True)
def without_lease(kubernetes: KubeApiServer) -> Iterator[None]:
    """Let every test begin without the lease of the last one, which would have to end first."""
    yield
    with suppress(OSError):  # not every operator came so far as to have one
        kubernetes.ask("DELETE", LEASE)


def read_changes(auth: AuthServer, name: str) -> list[str]:
    """Return what happened to a token, as the audit log tells it."""
    return [each["event"] for each in auth.read_audit() if each.get("token_name") == name]


def test_a_killed_operator_begins_anew_and_writes_nothing(
    make_operator: OperatorFactory, objects: Objects, auth: AuthServer, name: str
) -> None:
    operator = make_operator().start()
    objects.apply(name, build_spec(ttl="1h"))
    before = objects.wait_for(name, "Synced")
    operator.process.kill()
    operator.start()
    objects.apply(f"{name}-after", build_spec())
    objects.wait_for(f"{name}-after", "Synced")
    assert objects.get(name) == before
    assert read_changes(auth, name) == ["join_token.create"]


def test_an_operator_that_is_killed_in_the_middle_leaves_what_the_next_one_completes(
    make_operator: OperatorFactory, objects: Objects, auth: AuthServer, name: str
) -> None:
    operator = make_operator()
    for number in range(3):
        operator.start()
        for each in range(10):
            objects.apply(f"{name}-{number}-{each}", build_spec(ttl="1h"))
        operator.process.kill()
    operator.start()
    for number in range(3):
        for each in range(10):
            objects.wait_for(f"{name}-{number}-{each}", "Synced")
            assert read_changes(auth, f"{name}-{number}-{each}") == ["join_token.create"]


def test_what_happened_while_no_operator_ran_is_made_up_for(
    make_operator: OperatorFactory, objects: Objects, auth: AuthServer, name: str
) -> None:
    operator = make_operator().start()
    for suffix in ("deleted", "edited"):
        objects.apply(f"{name}-{suffix}", build_spec())
        objects.wait_for(f"{name}-{suffix}", "Synced")
    assert operator.process.stop() == 0
    objects.delete(f"{name}-deleted")
    objects.apply(f"{name}-edited", build_spec("other:app"))
    objects.apply(f"{name}-gone", build_spec())
    objects.delete(f"{name}-gone")
    operator.start()
    objects.wait_until_gone(f"{name}-deleted")
    objects.wait_for(f"{name}-edited", "Synced")
    assert find_token(auth, f"{name}-deleted") is None
    assert read_changes(auth, f"{name}-gone") == []


def test_while_auth_is_away_objects_say_so_and_catch_up_later(
    make_operator: OperatorFactory, objects: Objects, auth: AuthServer, name: str
) -> None:
    make_operator().start()
    objects.apply(f"{name}-before", build_spec())
    objects.wait_for(f"{name}-before", "Synced")
    assert auth.process.stop() == 0
    try:
        objects.apply(name, build_spec())
        objects.wait_for(name, "AuthUnreachable")
        assert objects.find_condition(name)["status"] == "Unknown"
        objects.delete(f"{name}-before")
        wait_until(
            lambda: objects.find_condition(f"{name}-before", "DeletionBlocked").get("status") == "True",
            "the object says why it stays",
        )
    finally:
        auth.start()
    objects.wait_for(name, "Synced")
    objects.wait_until_gone(f"{name}-before")
    assert find_token(auth, f"{name}-before") is None


def test_an_object_does_not_wait_for_ever(
    make_operator: OperatorFactory, objects: Objects, auth: AuthServer, name: str
) -> None:
    operator = make_operator("--deletion-timeout=2s").start()
    objects.apply(name, build_spec())
    objects.wait_for(name, "Synced")
    assert auth.process.stop() == 0
    try:
        objects.delete(name)
        objects.wait_until_gone(name)
        assert "teleport_token_orphaned_total 1.0" in operator.process.fetch("/metrics")[1]
    finally:
        auth.start()
    objects.wait_for_event(name, "Warning", "TokenLeftBehind")
    assert find_token(auth, name) is not None


def test_a_second_operator_takes_over_from_one_that_was_killed(
    make_operator: OperatorFactory, objects: Objects, auth: AuthServer, kubernetes: KubeApiServer, name: str
) -> None:
    first = make_operator(name="first").start()
    wait_until(lambda: read_holder(kubernetes), "somebody leads")
    make_operator(name="second").start()
    holder = read_holder(kubernetes)
    objects.apply(f"{name}-one", build_spec())
    objects.wait_for(f"{name}-one", "Synced")
    first.process.kill()
    objects.apply(f"{name}-two", build_spec())
    objects.wait_for(f"{name}-two", "Synced")
    assert read_holder(kubernetes) != holder
    assert read_changes(auth, f"{name}-one") == ["join_token.create"]


def read_holder(kubernetes: KubeApiServer) -> str:
    """Return who leads."""
    try:
        lease: Document = kubernetes.ask("GET", LEASE)
    except OSError:
        return ""
    return str(lease["spec"].get("holderIdentity", ""))


def test_an_operator_that_ends_gives_the_lease_back(
    make_operator: OperatorFactory, objects: Objects, kubernetes: KubeApiServer, name: str
) -> None:
    operator = make_operator().start()
    objects.apply(name, build_spec())
    objects.wait_for(name, "Synced")
    assert operator.process.stop() == 0
    assert read_holder(kubernetes) == ""


@pytest.mark.parametrize("moment", ["", "Initial authentication", "joined the cluster", "this process leads"])
def test_a_signal_ends_it_in_an_orderly_way_at_any_moment(
    make_operator: OperatorFactory, kubernetes: KubeApiServer, moment: str
) -> None:
    operator = make_operator()
    operator.launch()
    wait_until(lambda: operator.process.fetch("/healthz")[0], "it listens")
    operator.process.wait_for_log(moment)
    operator.process.send(signal.SIGTERM)
    assert operator.process.stop() == 0
    assert read_holder(kubernetes) == ""
    _, was_told, after = operator.process.log.partition("Stop-flag is set")
    assert was_told == "" or "this process leads" not in after


def test_an_operator_that_was_frozen_does_not_work_on_after_another_took_over(
    make_operator: OperatorFactory, objects: Objects, kubernetes: KubeApiServer, name: str
) -> None:
    first = make_operator(name="first").start()
    before = wait_until(lambda: read_holder(kubernetes), "the first leads")
    make_operator(name="second").start()
    first.process.send(signal.SIGSTOP)
    try:
        wait_until(lambda: read_holder(kubernetes) not in ("", before), "the second leads")
    finally:
        first.process.send(signal.SIGCONT)
    first.process.wait_for_log("does not lead")
    objects.apply(name, build_spec())
    objects.wait_for(name, "Synced")
    assert 'leader_election_master_status{name="teleport-operator"} 0.0' in first.process.fetch("/metrics")[1]


def test_an_api_server_that_starts_anew_is_followed(
    make_operator: OperatorFactory, objects: Objects, kubernetes: KubeApiServer, name: str
) -> None:
    operator = make_operator().start()
    objects.apply(f"{name}-before", build_spec())
    objects.wait_for(f"{name}-before", "Synced")
    kubernetes.stop()
    kubernetes.start()
    objects.apply(name, build_spec())
    objects.wait_for(name, "Synced")
    assert operator.process.is_alive()
