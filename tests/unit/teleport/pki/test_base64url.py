import base64

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.errors import BadParameter
from teleport.pki.base64url import decode_base64url


def encode(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@given(st.binary(min_size=1, max_size=64))
def test_what_was_encoded_is_decoded(data: bytes) -> None:
    assert decode_base64url(encode(data), what="x") == data


@pytest.mark.parametrize(
    "text", ["", "A", "AAAAA", "AA==", "AA=", " AA", "AA\n", "A A", "+/+/", "é", "\uff21A", "A\0A"]
)
def test_hostile_18_other_characters_and_lengths_are_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="the part is not base64url"):
        decode_base64url(text, what="the part")


@pytest.mark.parametrize("text", ["AB", "AP", "AAB", "AAD"])
def test_hostile_18_stray_last_bits_are_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="not canonical"):
        decode_base64url(text, what="the part")


@pytest.mark.parametrize("value", [None, 7, b"AA", ["AA"], True])
def test_what_is_no_text_is_refused(value: object) -> None:
    with pytest.raises(BadParameter):
        decode_base64url(value, what="the part")


@given(st.text(alphabet="AQgw_-+= é", max_size=12))
def test_one_text_alone_stands_for_its_bytes(text: str) -> None:
    try:
        data = decode_base64url(text, what="x")
    except BadParameter:
        return
    assert encode(data) == text
