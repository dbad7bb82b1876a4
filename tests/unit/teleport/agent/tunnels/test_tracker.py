from teleport.agent.tunnels.tracker import DISREGARD_FOR, FORGET_AFTER, Claim, Tracker
from teleport.api.tunnels import MAX_PROXIES

FORGET = FORGET_AFTER.total_seconds()
DISREGARD = DISREGARD_FOR.total_seconds()


def claim(tracker: Tracker, proxy: str, now: float = 0.0) -> Claim:
    claimed = tracker.claim(proxy, now)
    assert claimed is not None
    return claimed


def test_an_agent_that_knows_no_proxy_dials() -> None:
    assert Tracker().needs_dial(0.0)


def test_an_agent_with_a_tunnel_to_the_only_proxy_does_not_dial() -> None:
    tracker = Tracker()
    claim(tracker, "one")
    tracker.mention(["one"], 0.0)
    assert not tracker.needs_dial(0.0)
    assert tracker.count_wanted(0.0) == 1


def test_a_proxy_is_claimed_once() -> None:
    tracker = Tracker()
    claim(tracker, "one")
    assert tracker.claim("one", 1.0) is None


def test_a_proxy_that_is_mentioned_is_missing_until_it_is_claimed() -> None:
    tracker = Tracker()
    claim(tracker, "one")
    tracker.mention(["one", "two"], 0.0)
    assert tracker.find_missing(0.0) == {"two"}
    assert tracker.needs_dial(0.0)
    claim(tracker, "two")
    assert not tracker.needs_dial(0.0)


def test_a_proxy_is_forgotten_three_minutes_after_its_last_mention_and_not_before() -> None:
    tracker = Tracker()
    claim(tracker, "one")
    tracker.mention(["two"], 5.0)
    assert tracker.find_missing(5.0 + FORGET) == {"two"}
    assert tracker.find_missing(5.0 + FORGET + 0.001) == set()
    assert not tracker.needs_dial(5.0 + FORGET + 0.001)


def test_a_proxy_whose_tunnel_broke_is_looked_for_again() -> None:
    tracker = Tracker()
    claim(tracker, "one")
    tracker.release(claim(tracker, "two"), 60.0)
    assert tracker.find_missing(60.0) == {"two"}


def test_a_tunnel_that_is_gone_does_not_take_its_successors_claim_away() -> None:
    tracker = Tracker()
    first = claim(tracker, "one")
    tracker.leave(first)
    claim(tracker, "one", 1.0)
    tracker.release(first, 2.0)
    assert tracker.claimed == {"one"}


def test_a_proxy_that_said_goodbye_is_not_looked_for_though_others_mention_it_still() -> None:
    tracker = Tracker()
    claim(tracker, "one")
    leaving = claim(tracker, "two")
    tracker.leave(leaving)
    tracker.mention(["one", "two"], 1.0)
    assert not tracker.needs_dial(1.0)
    tracker.release(leaving, 2.0)
    tracker.mention(["one", "two"], 2.0 + DISREGARD - 0.002)
    tracker.mention(["one"], 2.0 + DISREGARD - 0.001)
    assert not tracker.needs_dial(2.0 + DISREGARD)
    tracker.mention(["one", "two"], 2.0 + DISREGARD)
    assert tracker.find_missing(2.0 + DISREGARD) == {"two"}


def test_a_proxy_that_is_back_soon_after_its_goodbye_is_looked_for_when_mentions_count_again() -> None:
    tracker = Tracker()
    claim(tracker, "one")
    leaving = claim(tracker, "two")
    tracker.leave(leaving)
    tracker.release(leaving, 1.0)
    tracker.mention(["one", "two"], 5.0)
    assert not tracker.needs_dial(1.0 + DISREGARD - 0.001)
    assert tracker.find_next_change() == 1.0 + DISREGARD
    assert tracker.find_missing(1.0 + DISREGARD) == {"two"}


def test_a_dial_that_comes_to_a_proxy_which_said_goodbye_and_is_back_is_welcome() -> None:
    tracker = Tracker()
    leaving = claim(tracker, "one")
    tracker.leave(leaving)
    tracker.release(leaving, 1.0)
    assert tracker.needs_dial(1.0)
    claim(tracker, "one", 1.0)
    assert tracker.claimed == {"one"}


def test_a_proxy_that_is_shunned_is_neither_dialled_for_nor_claimed_before_its_time() -> None:
    tracker = Tracker()
    replaced = claim(tracker, "one")
    tracker.shun(replaced, 60.0)
    tracker.release(replaced, 1.0)
    assert not tracker.needs_dial(59.0)
    assert tracker.find_next_change() == 60.0
    assert tracker.claim("one", 59.0) is None
    assert tracker.needs_dial(60.0)
    claim(tracker, "one", 60.0)


def test_so_many_proxies_are_known_and_one_more_is_not() -> None:
    tracker = Tracker()
    for number in range(MAX_PROXIES + 1):
        tracker.mention([str(number)], 0.0)
    assert len(tracker.find_missing(0.0)) == MAX_PROXIES
    tracker.mention(["0"], FORGET + 1.0)
    assert tracker.find_missing(FORGET + 1.0) == {"0"}
