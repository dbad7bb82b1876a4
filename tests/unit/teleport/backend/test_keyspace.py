from hypothesis import given
from hypothesis import strategies as st

from teleport.backend.keyspace import find_stretch

TEXT = st.text(st.characters(blacklist_categories=["Cs", "Cc"]) | st.sampled_from("\ud7ff\ue000\U0010ffff"), max_size=4)


def test_the_empty_prefix_covers_everything() -> None:
    assert find_stretch("", "", newest_first=False) == ("", None)


def test_the_end_of_a_prefix_steps_over_surrogates() -> None:
    assert find_stretch("a\ud7ff", "", newest_first=False) == ("a\ud7ff", "a\ue000")


@given(prefix=TEXT, after=TEXT, tail=TEXT, other=TEXT, newest_first=...)
def test_a_stretch_holds_exactly_what_a_page_may_show(
    prefix: str, after: str, tail: str, other: str, newest_first: bool
) -> None:
    lower, upper = find_stretch(prefix, after, newest_first=newest_first)
    for key in (prefix + tail, other, after, after + tail):
        beyond = not after or (key < after if newest_first else key > after)
        assert (lower <= key and (upper is None or key < upper)) == (key.startswith(prefix) and beyond)
    for bound in (lower, upper or ""):
        bound.encode()


@given(left=TEXT, right=TEXT)
def test_text_is_ordered_as_its_utf_8_is(left: str, right: str) -> None:
    assert (left < right) == (left.encode() < right.encode())
