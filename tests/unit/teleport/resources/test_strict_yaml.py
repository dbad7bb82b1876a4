from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.errors import BadParameter, TooLarge
from teleport.resources.strict_yaml import MAX_BYTES, MAX_DEPTH, compose, parse_documents, render_yaml


def parse(text: str) -> list[Any]:
    return list(parse_documents(text))


def test_documents_come_one_by_one_and_empty_ones_are_passed_over() -> None:
    assert parse("a: 1\n---\n---\nb: 2\n") == [{"a": 1}, {"b": 2}]
    assert parse("") == []


def test_times_stay_text() -> None:
    assert parse("expires: 2026-01-01T00:00:00Z") == [{"expires": "2026-01-01T00:00:00Z"}]


@pytest.mark.parametrize("text", ["a: 1\nb: 2\na: 3\n", '{"a": 1, "a": 2}', "x:\n  a: 1\n  a: 1\n"])
def test_a_key_that_stands_twice_is_refused_with_its_line(text: str) -> None:
    with pytest.raises(BadParameter, match=r"line \d: duplicate key 'a'"):
        parse(text)


def test_a_key_may_stand_once_on_each_level() -> None:
    assert parse("a:\n  a: 1\nb:\n  a: 2\n") == [{"a": {"a": 1}, "b": {"a": 2}}]


def test_aliases_are_refused() -> None:
    with pytest.raises(BadParameter, match="line 2: aliases"):
        parse("a: &x [1]\nb: *x\n")


def test_a_billion_laughs_cost_nothing() -> None:
    lines = ["a0: &a0 [lol]", *(f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 10))]
    with pytest.raises(BadParameter, match="aliases"):
        parse("\n".join(lines))


def test_nesting_is_bounded() -> None:
    assert parse("[" * MAX_DEPTH + "]" * MAX_DEPTH)
    with pytest.raises(BadParameter, match="nested deeper"):
        parse("[" * (MAX_DEPTH + 1) + "]" * (MAX_DEPTH + 1))
    with pytest.raises(BadParameter):
        parse("[" * 100_000)


def test_size_is_bounded() -> None:
    assert parse("a: " + "x" * (MAX_BYTES - 3)) == [{"a": "x" * (MAX_BYTES - 3)}]
    with pytest.raises(TooLarge):
        parse("a: " + "x" * (MAX_BYTES - 2))


@pytest.mark.parametrize(
    "text", ["!!python/object/apply:os.system [ls]", "!unknown 1", "? [a]\n: 1", "a: b: c", "\x00", "\ud800"]
)
def test_what_is_no_plain_data_is_refused(text: str) -> None:
    with pytest.raises(BadParameter):
        parse(text)


def test_a_refusal_does_not_quote_the_text() -> None:
    with pytest.raises(BadParameter) as caught:
        parse("token: 'a-secret-token\nb: 1")
    assert "a-secret-token" not in caught.value.message


def test_compose_takes_one_document_and_knows_its_lines() -> None:
    node = compose("a: 1\nb: 2\n")
    assert node is not None
    assert node.start_mark.line == 0
    assert compose("") is None
    with pytest.raises(BadParameter):
        compose("a: 1\n---\nb: 2\n")


PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(exclude_categories=["Cs"]), max_size=20),
    lambda children: (
        st.lists(children, max_size=3)
        | st.dictionaries(st.text(st.characters(exclude_categories=["Cs"]), max_size=8), children, max_size=3)
    ),
    max_leaves=10,
)


@given(PLAIN.filter(lambda data: data is not None))
def test_what_is_rendered_is_read_back(data: Any) -> None:
    assert parse(render_yaml(data)) == [data]


@given(st.text(max_size=200))
def test_any_text_is_documents_or_refused(text: str) -> None:
    try:
        parse(text)
    except BadParameter as error:
        assert error.message  # noqa: PT017 - either is fine
