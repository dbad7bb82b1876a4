import pytest
from httptools import HttpParserError, HttpRequestParser
from hypothesis import given
from hypothesis import strategies as st

from support.chunks import PLACES, cut
from teleport.web.forwarding.body import MAX_ASIDE, MAX_LINE, BadBody, Body, build_body
from teleport.web.forwarding.head import CHUNKED, UNTIL_CLOSE

CHUNKS = b"4\r\nWiki\r\n5;a=b\r\npedia\r\n0\r\nTrailer: x\r\n\r\n"


def run(body: Body, *pieces: bytes) -> tuple[bytes, bytes]:
    """Return what is sent on, and what comes after the body."""
    sent, rest = b"", b""
    for piece in pieces:
        if body.is_done:
            rest += piece
        else:
            parts, left = body.take(piece)
            sent += b"".join(parts)
            rest += left
    return sent, rest


@given(st.binary(min_size=1, max_size=50), st.binary(max_size=20), PLACES)
def test_a_stated_length_is_counted_however_it_comes(content: bytes, rest: bytes, places: list[int]) -> None:
    body = build_body(len(content), in_chunks=True)
    assert run(body, *cut(content + rest, places)) == (content, rest)
    assert body.is_done


def test_a_stated_length_is_missed_at_n_minus_one() -> None:
    body = build_body(3, in_chunks=False)
    assert run(body, b"ab") == (b"ab", b"")
    assert not body.is_done
    assert body.end() is None
    assert run(body, b"c") == (b"c", b"")
    assert body.end() == b""


@given(st.lists(st.binary(min_size=1, max_size=20)), st.binary(max_size=20), PLACES)
def test_chunks_are_read_however_they_come(contents: list[bytes], rest: bytes, places: list[int]) -> None:
    raw = b"".join(b"%X\r\n%b\r\n" % (len(content), content) for content in contents) + b"0\r\n\r\n"
    body = build_body(CHUNKED, in_chunks=False)
    assert run(body, *cut(raw + rest, places)) == (b"".join(contents), rest)
    assert body.is_done


@given(st.lists(st.binary(min_size=1, max_size=20)), PLACES)
def test_chunks_that_are_sent_on_say_the_same(contents: list[bytes], places: list[int]) -> None:
    raw = b"".join(b"%x\r\n%b\r\n" % (len(content), content) for content in contents) + b"0\r\n\r\n"
    sent, _ = run(build_body(CHUNKED, in_chunks=True), *cut(raw, places))
    again = build_body(CHUNKED, in_chunks=False)
    assert run(again, sent) == (b"".join(contents), b"")
    assert again.is_done


def test_extensions_and_trailers_are_dropped() -> None:
    assert run(build_body(CHUNKED, in_chunks=True), CHUNKS + b"GET") == (b"9\r\nWikipedia\r\n0\r\n\r\n", b"GET")


@pytest.mark.parametrize(
    "raw",
    [
        b"\r\n",
        b"g\r\n",
        b"-1\r\n",
        b"+1\r\n",
        b"0x1\r\n",
        b" 1\r\n",
        b"1 \r\n",
        b"1\n",
        b"1\r\r\n",
        b"1\r\nab",
        b"1\r\na\n",
        b"1\r\na\rb",
        b"1;a\0\r\n",
        b"1;a\rb\r\n",
        b"1,2\r\n",
        b"1" * 16 + b"\r\n",
        b"0\r\n\n",
        b"0\r\nA: b\n",
        b"1" * (MAX_LINE + 1),
        b"1;" + b"a" * MAX_LINE,
        b"0\r\n" + b"a" * (MAX_LINE + 1),
    ],
)
def test_hostile_47_chunks_that_could_be_read_in_two_ways_are_refused(raw: bytes) -> None:
    for pieces in ([raw], [raw[at : at + 1] for at in range(len(raw))]):
        with pytest.raises(BadBody):
            run(build_body(CHUNKED, in_chunks=True), *pieces)


def test_hostile_47_chunk_extensions_are_bounded_over_the_whole_body() -> None:
    extension = b";" + b"a" * 511
    chunk = b"1" + extension + b"\r\nx\r\n"
    count = MAX_ASIDE // len(extension)
    assert run(build_body(CHUNKED, in_chunks=False), chunk * count)[0] == b"x" * count
    with pytest.raises(BadBody):
        run(build_body(CHUNKED, in_chunks=False), chunk * (count + 1))


def test_a_body_until_the_end_is_sent_on_in_chunks_or_bare() -> None:
    chunked, bare = build_body(UNTIL_CLOSE, in_chunks=True), build_body(UNTIL_CLOSE, in_chunks=False)
    assert run(chunked, b"abc")[0] + (chunked.end() or b"") == b"3\r\nabc\r\n0\r\n\r\n"
    assert run(bare, b"abc")[0] + (bare.end() or b"") == b"abc"


def test_chunks_without_the_last_one_are_cut_short() -> None:
    body = build_body(CHUNKED, in_chunks=True)
    run(body, CHUNKS[:-2])
    assert body.end() is None


@given(st.lists(st.sampled_from([b"1", b"a", b"0", b"\r\n", b"\n", b"\r", b";x", b"A: b", b" ", b"xyz"]), max_size=12))
def test_what_is_accepted_is_what_another_parser_reads(parts: list[bytes]) -> None:
    raw = b"".join(parts)
    body = build_body(CHUNKED, in_chunks=False)
    try:
        sent, rest = run(body, raw)
    except BadBody:
        return
    if body.is_done:
        assert read_by_llhttp(raw[: len(raw) - len(rest)]) == sent


def read_by_llhttp(raw: bytes) -> bytes | None:
    """Return the body as llhttp reads it, or nothing where it sees no complete one."""
    seen: list[bytes] = []
    done: list[bool] = []

    class Reader:
        def on_body(self, data: bytes) -> None:
            seen.append(data)

        def on_message_complete(self) -> None:
            done.append(True)

    try:
        HttpRequestParser(Reader()).feed_data(b"POST / HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n" + raw)
    except HttpParserError:
        return None
    return b"".join(seen) if done else None
