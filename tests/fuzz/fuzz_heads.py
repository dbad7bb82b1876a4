"""Feeds heads and chunks of every shape to the reverse proxy: what it sends on is read again as the same message.

An input that starts with `HTTP` is an answer, one that starts with a digit a body in chunks, any other one a request.
"""

import sys

import atheris

with atheris.instrument_imports(include=["teleport"]):
    from teleport.errors import BadParameter, ConnectionFailed
    from teleport.web.forwarding.body import build_body
    from teleport.web.forwarding.head import CHUNKED, RequestHead, parse_answer_head, parse_request_head
    from teleport.web.forwarding.plan import Forwarded, HeaderPlan

MAX_FIELDS = 100
PLAN = HeaderPlan(
    set_headers=((b"Teleport-Jwt-Assertion", b"ours"),),
    forwarded=Forwarded("192.0.2.7"),
    hidden_cookies=frozenset({b"__Host-session"}),
    redirect_hosts=frozenset({b"app"}),
    public_origin=b"https://app.example.com",
)
ASKED = parse_request_head(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", MAX_FIELDS)


def try_message(data: bytes) -> None:
    """Read one message; what is refused is as good as what is read."""
    try:
        if data[:4] == b"HTTP":
            try_answer(data)
        elif data[:1].isdigit():
            try_chunks(data)
        else:
            try_request(data)
    except (BadParameter, ConnectionFailed):
        return


def try_request(data: bytes) -> None:
    """Send a request on and read it again."""
    head = parse_request_head(data, MAX_FIELDS)
    rendered = PLAN.render_request(head)
    again = parse_again(rendered)
    sound = (again.method, again.target, again.host, again.body) == (head.method, head.target, head.host, head.body)
    claims = [value for key, _, value in again.fields if key.replace(b"_", b"-") == b"teleport-jwt-assertion"]
    if not sound or claims != [b"ours"] or again.get_cookie(b"__Host-session") is not None:
        raise AssertionError("a request is another one when it is sent on")


def parse_again(rendered: bytes) -> RequestHead:
    """Read what we wrote, which must be sound."""
    try:
        return parse_request_head(rendered, MAX_FIELDS * 2)
    except BadParameter as error:
        raise AssertionError("what is sent on is no request") from error


def try_answer(data: bytes) -> None:
    """Send an answer on and read it again."""
    head = parse_answer_head(data, MAX_FIELDS, b"GET")
    rendered = PLAN.render_answer(head, ASKED, keep_alive=True)
    try:
        again = parse_answer_head(rendered, MAX_FIELDS * 2, b"GET")
    except ConnectionFailed as error:
        raise AssertionError("what is sent on is no answer") from error
    expected = CHUNKED if head.body < -1 else head.body
    if (again.status, again.body) != (head.status, expected):
        raise AssertionError("an answer is another one when it is sent on")


def try_chunks(data: bytes) -> None:
    """Send a body on and read it again; in pieces it is the same."""
    sent, _ = build_body(CHUNKED, in_chunks=True).take(data)
    bare, rest = build_body(CHUNKED, in_chunks=False).take(data)
    again, none = build_body(CHUNKED, in_chunks=False).take(b"".join(sent))
    whole = build_body(CHUNKED, in_chunks=False)
    pieces: list[bytes] = []
    for byte in data[: len(data) - len(rest)]:
        pieces.extend(whole.take(bytes([byte]))[0])
    if none or not b"".join(again) == b"".join(bare) == b"".join(pieces):
        raise AssertionError("a body is another one when it is sent on")


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_message)
    atheris.Fuzz()
