"""The operator's machine has a clock that is an hour off, while those of the API server and of auth are right."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from support.cluster import AuthServer
from support.operator_cluster import Document, Objects, Operator, OperatorFactory, find_token
from support.operator_specs import build_spec
from support.processes import wait_until
from support.wrong_clock import WrongClock, find_faketime
from teleport.resources.model import render_time

HOUR = timedelta(hours=1)
AN_HOUR = r"the clock of this machine is (0:59:5\d|1:00:0\d) "


@pytest.fixture
def machine_clock(tmp_path: Path) -> WrongClock:
    """The clock of the operator's machine; it is right until a test moves it."""
    library = find_faketime()
    if library is None:
        pytest.skip("NOT TESTED: an operator whose clock is an hour off, since libfaketime is not installed")
    clock = WrongClock(library, tmp_path / "clock")
    clock.set_right()
    return clock


@pytest.fixture
def operator(make_operator: OperatorFactory, machine_clock: WrongClock) -> Iterator[Operator]:
    """An operator on that machine, which is not started; it lives from then on until the end of the test."""
    operator = make_operator()
    operator.process.environment.update(machine_clock.environment)
    yield operator
    assert operator.process.is_alive()
    assert "Traceback" not in operator.process.log
    assert operator.process.stop() == 0


def expect_life_of_ten_minutes(found: Document) -> None:
    """See that the life is counted from the object's creation."""
    created = datetime.fromisoformat(found["metadata"]["creationTimestamp"])
    assert datetime.fromisoformat(found["status"]["expires"]) == created + timedelta(minutes=10)


def test_a_clock_ahead_ends_no_life_early_and_readiness_names_it(
    operator: Operator, machine_clock: WrongClock, objects: Objects, auth: AuthServer, name: str
) -> None:
    machine_clock.put_ahead(HOUR)
    operator.launch()
    assert re.search(AN_HOUR + "ahead of", operator.process.wait_for_status(503))
    objects.apply(name, build_spec(ttl="10m"))
    found = objects.wait_for(name, "Synced")
    expect_life_of_ten_minutes(found)
    assert objects.find_condition(name, "Active")["reason"] == "InStore"
    machine_clock.set_right()
    operator.process.wait_for_status(200)
    assert objects.get(name) == found
    assert find_token(auth, name) is not None
    assert operator.process.log.count("joined the cluster") == 1


def test_a_clock_behind_lets_nothing_live_longer_and_once_it_is_right_all_is_caught_up_with(
    operator: Operator, machine_clock: WrongClock, objects: Objects, auth: AuthServer, name: str
) -> None:
    machine_clock.put_ahead(-HOUR)
    operator.launch()
    assert re.search(AN_HOUR + "behind", operator.process.wait_for_status(503))
    objects.apply(name, build_spec(ttl="10m"))
    objects.apply(f"{name}-ended", build_spec(expires=render_time(datetime.now(UTC) + timedelta(seconds=3))))
    wait_until(lambda: objects.find_condition(name).get("reason") in ("AuthUnreachable", "Synced"), "a first look")
    machine_clock.set_right()
    operator.process.wait_for_status(200)
    expect_life_of_ten_minutes(objects.wait_for(name, "Synced"))
    objects.wait_for(f"{name}-ended", "Expired")
    assert find_token(auth, name) is not None
    assert find_token(auth, f"{name}-ended") is None


@pytest.mark.parametrize("by", [HOUR, -HOUR], ids=["ahead", "behind"])
def test_a_clock_that_is_set_wrong_and_right_again_leaves_no_trace(
    operator: Operator, machine_clock: WrongClock, objects: Objects, auth: AuthServer, name: str, by: timedelta
) -> None:
    operator.start()
    objects.apply(name, build_spec(ttl="10m"))
    before = objects.wait_for(name, "Synced")
    machine_clock.put_ahead(by)
    operator.process.wait_for_status(503)
    objects.apply(f"{name}-meanwhile", build_spec(ttl="10m"))
    wait_until(lambda: objects.find_condition(f"{name}-meanwhile").get("reason") != "Pending", "it is looked at")
    machine_clock.set_right()
    operator.process.wait_for_status(200)
    expect_life_of_ten_minutes(objects.wait_for(f"{name}-meanwhile", "Synced"))
    assert objects.get(name) == before
    changes = [each["event"] for each in auth.read_audit() if each.get("token_name") == name]
    assert changes == ["join_token.create"]


def test_preflight_names_the_wrong_clock(make_operator: OperatorFactory, machine_clock: WrongClock) -> None:
    operator = make_operator()
    operator.process.environment.update(machine_clock.environment)
    machine_clock.put_ahead(HOUR)
    assert re.search("warning  clock .*" + AN_HOUR + "ahead of", operator.preflight().stdout)
    machine_clock.set_right()
    assert "ok       clock" in operator.preflight().stdout
