import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.api.tunnels import (
    MAX_LINE,
    MAX_PROXIES,
    Goodbye,
    GoodbyeReason,
    Message,
    MessageReader,
    Proxies,
    build_control_preface,
    parse_control_preface,
    render_goodbye,
    render_proxies,
)
from teleport.errors import BadParameter
from teleport.tunnel.errors import ProtocolViolation

PROCESS = "0123456789abcdef0123456789abcdef"
TOO_LONG = b'{"proxies": ["' + b"a" * 65 + b'"]}'


def test_a_control_stream_says_which_process_it_is_of() -> None:
    assert parse_control_preface(build_control_preface(PROCESS)) == PROCESS


@pytest.mark.parametrize(
    "document", [{}, {"to": "app", "process": PROCESS}, {"to": "control"}, {"to": "control", "process": PROCESS + "0"}]
)
def test_other_streams_are_no_control_streams(document: dict[str, str]) -> None:
    with pytest.raises(BadParameter):
        parse_control_preface(document)


@given(st.lists(st.frozensets(st.text("abc-0", min_size=1), max_size=5), max_size=4), st.integers(1, 50))
def test_messages_are_read_from_whatever_pieces_come(sets: list[frozenset[str]], size: int) -> None:
    raw = b"".join(map(render_proxies, sets)) + render_goodbye(GoodbyeReason.DRAIN)
    reader = MessageReader()
    read: list[Message] = []
    for start in range(0, len(raw), size):
        read += reader.feed(raw[start : start + size])
    assert read == [*map(Proxies, sets), Goodbye(GoodbyeReason.DRAIN)]


@given(st.binary(max_size=200))
def test_whatever_comes_is_read_or_a_violation(raw: bytes) -> None:
    try:
        messages = MessageReader().feed(raw + b"\n")
    except ProtocolViolation:
        return
    assert all(isinstance(message, Proxies | Goodbye) for message in messages)


def test_messages_of_later_versions_are_left_out() -> None:
    assert MessageReader().feed(b'{"weather": "fine"}\n{"goodbye": "replaced"}\n') == [Goodbye(GoodbyeReason.REPLACED)]


@pytest.mark.parametrize("line", [b"x", b"[]", b'{"proxies": [1]}', b'{"proxies": [""]}', b'{"proxies": {}}', TOO_LONG])
def test_what_is_no_message_is_a_violation(line: bytes) -> None:
    with pytest.raises(ProtocolViolation):
        MessageReader().feed(line + b"\n")


def test_a_message_has_a_bound_at_n_and_n_plus_one() -> None:
    assert MessageReader().feed(b" " * MAX_LINE) == []
    with pytest.raises(ProtocolViolation):
        MessageReader().feed(b" " * (MAX_LINE + 1))


def test_so_many_proxies_are_named_and_one_more_is_left_out() -> None:
    names = [f"{number:036}" for number in range(MAX_PROXIES + 1)]
    (message,) = MessageReader().feed(render_proxies(names))
    assert message == Proxies(frozenset(names[:MAX_PROXIES]))
    with pytest.raises(ProtocolViolation):
        MessageReader().feed(orjson.dumps({"proxies": names}) + b"\n")
