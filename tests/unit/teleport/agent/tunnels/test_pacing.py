import random
from datetime import timedelta

import pytest

from teleport.agent.tunnels.pacing import LONGEST, PATIENCE, RESIGNED, SPREAD, STEP, Pacing


def build_pacing(seed: int = 1) -> Pacing:
    return Pacing(random.Random(seed))  # noqa: S311 - no secret


def draw_waits(pacing: Pacing, wanted: int = 2, count: int = 200) -> list[timedelta]:
    return [pacing.choose_wait(wanted) for _ in range(count)]


def test_after_a_success_there_is_no_wait() -> None:
    pacing = build_pacing()
    pacing.fail()
    pacing.succeed()
    assert pacing.choose_wait(2) == timedelta()


@pytest.mark.parametrize(("failures", "longest"), [(1, STEP), (3, 3 * STEP), (8, LONGEST), (100, LONGEST)])
def test_waits_after_failures_grow_by_a_second_up_to_eight_and_differ(failures: int, longest: timedelta) -> None:
    pacing = build_pacing()
    for _ in range(failures):
        pacing.fail()
    waits = draw_waits(pacing)
    assert longest / 2 <= min(waits) < max(waits) <= longest
    assert len(set(waits)) > 100


def test_an_agent_that_knows_of_no_proxy_is_not_stuck() -> None:
    assert not build_pacing().is_stuck(0)


@pytest.mark.parametrize("wanted", [2, 5])
def test_dials_that_come_to_the_same_proxies_mean_something_at_n_and_nothing_before(wanted: int) -> None:
    pacing = build_pacing()
    for _ in range(PATIENCE * wanted - 1):
        pacing.repeat()
    assert not pacing.is_stuck(wanted)
    pacing.repeat()
    assert pacing.is_stuck(wanted)
    assert min(draw_waits(pacing, wanted)) >= RESIGNED / 2


def test_other_proxies_that_are_missing_are_looked_for_with_new_patience() -> None:
    pacing = build_pacing()
    for _ in range(PATIENCE * 2):
        pacing.repeat()
    pacing.forget_repeats()
    assert not pacing.is_stuck(2)


def test_hostile_61_those_who_lose_a_proxy_at_one_moment_come_back_at_different_ones() -> None:
    moments = sorted(build_pacing(seed).choose_spread(SPREAD) for seed in range(10_000))
    a_second = [sum(second <= moment.total_seconds() < second + 1 for moment in moments) for second in range(10)]
    assert moments[-1] < SPREAD
    assert max(a_second) < 10_000 / 10 * 1.2
