import logging
from datetime import timedelta

import pytest

from support.clock import START, FakeClock
from teleport.web.readiness import Readiness, State
from teleport_operator.server_clock import HALF, MAX_SKEW, TOLERANCE, ServerClock, render_skew

HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)


class Story:
    """A machine, and what its operator knows of the time."""

    def __init__(self) -> None:
        self.machine = FakeClock()
        self.readiness = Readiness(self.machine)
        self.sets = 0
        self.clock = ServerClock(self.machine, readiness=self.readiness, on_set=self.count)

    def count(self) -> None:
        self.sets += 1


@pytest.fixture
def story() -> Story:
    return Story()


def test_before_the_first_answer_it_is_the_machine_s_time(story: Story) -> None:
    story.machine.advance(HOUR)
    assert story.clock.now() == START + HOUR
    assert story.readiness.state is State.STARTING


@pytest.mark.parametrize("skew", [HOUR, -HOUR])
def test_an_answer_sets_the_time_and_a_stopwatch_goes_on(story: Story, skew: timedelta) -> None:
    story.clock.learn(START - skew - HALF)
    story.machine.advance(HOUR)
    assert story.clock.now() == START - skew + HOUR
    assert story.clock.skew == skew
    assert story.sets == 1


@pytest.mark.parametrize(("off", "sets"), [(TOLERANCE, 0), (-TOLERANCE, 0), (TOLERANCE + SECOND, 1)])
def test_what_whole_seconds_and_the_way_explain_sets_nothing(story: Story, off: timedelta, sets: int) -> None:
    story.clock.learn(START - HALF + off)
    assert story.sets == sets


def test_whoever_sets_the_machine_s_clock_does_not_move_the_time(story: Story) -> None:
    story.clock.learn(START)
    story.machine.set_back(HOUR)
    assert story.clock.now() == START


@pytest.mark.parametrize(("off", "state"), [(MAX_SKEW, State.OK), (MAX_SKEW + SECOND, State.DEGRADED)])
def test_readiness_names_a_clock_that_is_off(story: Story, off: timedelta, state: State) -> None:
    story.clock.learn(START - HALF - off)
    assert story.readiness.state is state
    assert ("ahead of the API server's" in story.readiness.report().text) == (state is State.DEGRADED)


def test_a_clock_that_is_off_is_told_once_and_again_when_it_was_right_meanwhile(
    story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for told in (START - HOUR, START - HOUR, START, START - HOUR):
        story.clock.learn(told)
    assert caplog.text.count("certificates are judged by this one") == 2


def test_the_skew_is_told_in_words() -> None:
    assert render_skew(HOUR) == "the clock of this machine is 1:00:00 ahead of the API server's"
    assert render_skew(-HOUR) == "the clock of this machine is 1:00:00 behind the API server's"
