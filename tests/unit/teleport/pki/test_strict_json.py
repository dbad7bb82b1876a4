import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.errors import BadParameter
from teleport.pki.strict_json import MAX_DEPTH, parse_json_object

SECRET = "eyJhbGciOi"
WHOLE = st.integers(-(10**17), 2**63 - 1)
ANY = st.recursive(
    st.none() | st.booleans() | WHOLE | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=12,
)


def refuse(raw: bytes | str) -> None:
    with pytest.raises(BadParameter) as refusal:
        parse_json_object(raw, what="the part")
    assert refusal.value.message in {"the part is not a plain JSON object", "the part is not a JSON object"}


def nest(depth: int) -> bytes:
    """Return arrays within an object; the object is the first level."""
    return b'{"a":' + b"[" * (depth - 1) + b"]" * (depth - 1) + b"}"


def measure(value: Any) -> int:
    if isinstance(value, dict):
        return 1 + max(map(measure, value.values()), default=0)
    return 1 + max(map(measure, value), default=0) if isinstance(value, list) else 0


@given(st.dictionaries(st.text(max_size=8), ANY, max_size=4), st.booleans())
def test_plain_objects_are_read(data: dict[str, Any], ascii_only: bool) -> None:
    text = json.dumps(data, ensure_ascii=ascii_only)
    if measure(data) > MAX_DEPTH:
        refuse(text)
        return
    assert parse_json_object(text, what="x") == data
    assert parse_json_object(text.encode(), what="x") == data


@pytest.mark.parametrize("raw", [b"", b"[]", b"1", b'"a"', b"null", b"{", b"{}{}", b"{} x", b"{'a': 1}", b'{"a": 1,}'])
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    refuse(raw)


@pytest.mark.parametrize("raw", [b'{"a": 1, "a": 1}', b'{"a": 1, "\\u0061": 2}', b'{"o": [{"a": 1, "a": 2}]}'])
def test_hostile_17_a_name_that_stands_twice_is_refused(raw: bytes) -> None:
    refuse(raw)


@pytest.mark.parametrize(
    "number", ["1.0", "1e3", "1E3", "NaN", "Infinity", "-Infinity", "01", "+1", "9" * 20, "9" * 10000]
)
def test_hostile_17_numbers_that_are_not_whole_and_short_are_refused(number: str) -> None:
    refuse(f'{{"exp": {number}}}')


@pytest.mark.parametrize("number", [0, -1, 2**63, int("9" * 19), -int("9" * 18)])
def test_hostile_17_whole_numbers_are_read_to_nineteen_characters(number: int) -> None:
    assert parse_json_object(f'{{"exp": {number}}}', what="x") == {"exp": number}


def test_hostile_17_nesting_is_read_to_its_limit_and_not_beyond() -> None:
    assert measure(parse_json_object(nest(MAX_DEPTH), what="x")) == MAX_DEPTH
    refuse(nest(MAX_DEPTH + 1))


@pytest.mark.parametrize("raw", [b"[" * 100_000, b'{"a":' * 20_000, nest(10_000)])
def test_hostile_17_nesting_without_end_is_refused_before_it_is_built(raw: bytes) -> None:
    refuse(raw)


def test_brackets_in_a_text_are_no_nesting() -> None:
    text = "[{" * 20 + '"' + "\\" + "]" * 50
    assert parse_json_object(json.dumps({"a": text, "b": [1]}), what="x") == {"a": text, "b": [1]}


@pytest.mark.parametrize("raw", [b'"' * 200_000, b'{"a":"' + b'\\"' * 100_000, b'"\\' * 100_000])
def test_hostile_17_texts_without_an_end_cost_no_more_than_their_length(raw: bytes) -> None:
    refuse(raw)  # in quadratic time the test's own limit would end it


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-32", "utf-8-sig"])
def test_other_encodings_than_utf_8_are_refused(encoding: str) -> None:
    refuse('{"a": 1}'.encode(encoding))


@pytest.mark.parametrize(
    "raw",
    [b'{"a": "\\ud800"}', b'{"\\udfff": 1}', b'{"a": ["\\udc00\\ud800"]}', b'{"a": "\xed\xa0\x80"}', '{"a": "\ud800"}'],
)
def test_half_a_character_is_refused(raw: bytes | str) -> None:
    refuse(raw)


def test_a_character_in_two_escapes_is_read() -> None:
    assert parse_json_object(b'{"a": "\\ud83d\\ude00"}', what="x") == {"a": "😀"}


@pytest.mark.parametrize("raw", [f'{{"{SECRET}": 1, "{SECRET}": 2}}', f'"{SECRET}"', SECRET, f'{{"a": {SECRET}}}'])
def test_no_word_of_the_input_is_in_the_chain_of_errors(raw: str) -> None:
    with pytest.raises(BadParameter) as refusal:
        parse_json_object(raw, what="x")
    assert SECRET not in f"{refusal.value} {refusal.value.__cause__}"


@given(st.binary(max_size=64))
def test_noise_is_refused_and_breaks_nothing(raw: bytes) -> None:
    try:
        parse_json_object(raw, what="x")
    except BadParameter:
        return
    json.loads(raw)
