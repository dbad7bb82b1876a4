from datetime import timedelta

import pytest

from support.clock import FakeClock
from teleport.web.readiness import Readiness, State


class Components:
    """A readiness and its clock."""

    def __init__(self, *states: str) -> None:
        self.clock = FakeClock()
        self.readiness = Readiness(self.clock)
        for number, state in enumerate(states):
            name = f"component-{number}"
            self.readiness.expect(name)
            if state in {"degraded", "recovering"}:
                self.readiness.fail(name, "it broke")
            if state in {"ok", "recovering"}:
                self.readiness.succeed(name)


@pytest.mark.parametrize(
    ("components", "state", "status"),
    [
        pytest.param((), State.STARTING, 400, id="ready-001"),
        pytest.param(("ok", "starting"), State.STARTING, 400, id="one-still-starts"),
        pytest.param(("ok", "ok"), State.OK, 200, id="ready-003"),
        pytest.param(("ok", "degraded", "recovering", "starting"), State.DEGRADED, 503, id="degraded-wins"),
        pytest.param(("ok", "recovering"), State.RECOVERING, 400, id="ready-005"),
        pytest.param(("recovering", "starting"), State.RECOVERING, 400, id="recovering-before-starting"),
    ],
)
def test_the_worst_component_is_the_state_of_the_process(
    components: tuple[str, ...], state: State, status: int
) -> None:
    report = Components(*components).readiness.report()
    assert (report.state, report.status) == (state, status)


def test_a_component_that_broke_recovers_for_more_than_ten_seconds() -> None:
    case = Components("recovering")
    case.clock.advance(timedelta(seconds=10))
    assert case.readiness.report().state is State.RECOVERING
    case.clock.advance(timedelta(milliseconds=1))
    assert case.readiness.report().state is State.OK


def test_success_while_recovering_does_not_start_the_wait_anew() -> None:
    case = Components("recovering")
    case.clock.advance(timedelta(seconds=6))
    case.readiness.succeed("component-0")
    case.clock.advance(timedelta(seconds=5))
    assert case.readiness.report().state is State.OK


def test_a_failure_while_recovering_starts_the_wait_anew() -> None:
    case = Components("recovering")
    case.clock.advance(timedelta(seconds=9))
    case.readiness.fail("component-0", "again")
    case.readiness.succeed("component-0")
    case.clock.advance(timedelta(seconds=9))
    assert case.readiness.report().state is State.RECOVERING


def test_a_component_that_fails_before_it_ever_worked_is_degraded() -> None:
    assert Components("degraded").readiness.report().state is State.DEGRADED


def test_expecting_a_component_again_changes_nothing() -> None:
    case = Components("ok")
    case.readiness.expect("component-0")
    assert case.readiness.report().state is State.OK


def test_the_report_names_every_degraded_component_and_why() -> None:
    readiness = Readiness(FakeClock())
    readiness.fail("storage", "disk full")
    readiness.fail("agent", "auth does not answer")
    readiness.succeed("heartbeat")
    text = readiness.report().text
    assert text == "teleport is in a degraded state: agent: auth does not answer; storage: disk full"


def test_a_process_that_is_well_says_ok() -> None:
    assert Components("ok").readiness.report().text == "ok"
