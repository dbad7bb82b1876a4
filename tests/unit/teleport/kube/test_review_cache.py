from datetime import timedelta

from support.clock import FakeClock
from teleport.kube.review_cache import LIFE, MAX_ANSWERS, ReviewCache, build_key
from teleport.kube.token_review import ReviewStatus

YES = ReviewStatus(authenticated=True, username="a")


def number_key(number: int) -> bytes:
    return build_key(str(number), ("example.com",))


def test_no_more_than_the_bound_is_kept_and_the_oldest_goes_first() -> None:
    cache = ReviewCache(FakeClock())
    for number in range(MAX_ANSWERS):
        cache.store(number_key(number), YES)
    assert cache.find(number_key(0)) is YES
    cache.store(number_key(MAX_ANSWERS), YES)
    assert len(cache) == MAX_ANSWERS
    assert cache.find(number_key(0)) is None
    assert cache.find(number_key(1)) is YES


def test_what_is_too_old_does_not_stay_in_memory() -> None:
    clock = FakeClock()
    cache = ReviewCache(clock)
    for number in range(100):
        cache.store(number_key(number), YES)
    clock.advance(LIFE + timedelta(milliseconds=1))
    cache.store(number_key(100), YES)
    assert len(cache) == 1


def test_an_answer_that_is_stored_again_is_young_again() -> None:
    clock = FakeClock()
    cache = ReviewCache(clock)
    cache.store(number_key(0), YES)
    clock.advance(LIFE)
    cache.store(number_key(0), YES)
    clock.advance(LIFE)
    assert cache.find(number_key(0)) is YES


def test_token_and_audiences_cannot_be_taken_for_one_another() -> None:
    keys = {build_key("a", ("b", "c")), build_key("a", ("bc",)), build_key("ab", ("c",)), build_key("a\nb", ("c",))}
    assert len(keys) == 4


def test_the_token_is_not_kept() -> None:
    assert b"secret" not in build_key("secret", ("example.com",))
