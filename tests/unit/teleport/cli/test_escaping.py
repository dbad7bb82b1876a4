import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.cli.escaping import UNSAFE, escape


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("env=prod", "env=prod"),
        ("größe=日本", "größe=日本"),
        ("\x1b[2J", "\\x1b[2J"),
        ("a\nb\tc\r", "a\\nb\\tc\\r"),
        ("\x9b31m", "\\x9b31m"),
        ("\u202egnp.exe", "\\u202egnp.exe"),
        ("a\u2028b", "a\\u2028b"),
        ("\udc80", "\\udc80"),
    ],
)
def test_hostile_63_what_could_steer_a_terminal_is_written_out(text: str, shown: str) -> None:
    assert escape(text) == shown


@given(st.text(st.characters(categories=None)))
def test_hostile_63_escaped_text_is_one_safe_line_that_can_be_encoded(text: str) -> None:
    shown = escape(text)
    assert not UNSAFE.search(shown)
    assert len(shown.splitlines()) <= 1
    shown.encode()
