import contextlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.config.labels import MAX_LENGTH, parse_labels, render_labels
from teleport.errors import BadParameter
from teleport.resources.model import MAX_LABELS


def test_labels_are_pairs_with_commas_between_them() -> None:
    assert parse_labels("env=prod, team = core,uri=a=b") == {"env": "prod", "team": "core", "uri": "a=b"}


def test_no_text_means_no_labels() -> None:
    assert parse_labels("") == {}
    assert parse_labels("  ") == {}


def test_a_value_may_be_empty_and_a_key_may_not() -> None:
    assert parse_labels("env=") == {"env": ""}
    with pytest.raises(BadParameter, match="not a label"):
        parse_labels("=prod")


@pytest.mark.parametrize("text", ["env", "env=prod,", "env=prod,,team=core", ","])
def test_a_part_that_is_no_pair_is_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="not a label"):
        parse_labels(text)


def test_a_label_given_twice_is_refused() -> None:
    with pytest.raises(BadParameter, match="'env' is given twice"):
        parse_labels("env=a,env=b")


def test_as_many_labels_as_the_limit_are_fine_and_one_more_is_not() -> None:
    pairs = [f"k{number}=v" for number in range(MAX_LABELS + 1)]
    assert len(parse_labels(",".join(pairs[:-1]))) == MAX_LABELS
    with pytest.raises(BadParameter, match="more than"):
        parse_labels(",".join(pairs))


def test_a_text_beyond_the_limit_is_not_even_looked_at() -> None:
    with pytest.raises(BadParameter, match="longer than"):
        parse_labels("a" * (MAX_LENGTH + 1))


def test_a_control_character_in_a_label_is_refused() -> None:
    with pytest.raises(BadParameter, match="control character"):
        parse_labels("env=a\x1b[2Jb")


_WORD = st.text(st.characters(exclude_characters=",=", exclude_categories=["C", "Z"]), min_size=1, max_size=20)


@settings(deadline=None)
@given(st.dictionaries(_WORD, _WORD, max_size=8))
def test_what_is_rendered_reads_back(labels: dict[str, str]) -> None:
    assert parse_labels(render_labels(labels)) == labels


@settings(deadline=None)
@given(st.text(max_size=200))
def test_the_parser_refuses_and_never_breaks(text: str) -> None:
    with contextlib.suppress(BadParameter):
        parse_labels(text)
