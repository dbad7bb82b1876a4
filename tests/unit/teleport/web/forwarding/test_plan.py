import pytest

from support.forwarding_stage import get, split_head
from teleport.errors import BadParameter
from teleport.web.forwarding.head import parse_answer_head, parse_request_head
from teleport.web.forwarding.plan import Forwarded, HeaderPlan

JWT = b"Teleport-Jwt-Assertion"


def ask(plan: HeaderPlan, *lines: str) -> list[bytes]:
    """Return the header lines that the application gets, without its Host."""
    rendered = plan.render_request(parse_request_head(get("/", *lines), 100))
    assert rendered.endswith(b"\r\n\r\n")
    return split_head(rendered)[0][2:]


def answer(plan: HeaderPlan, *lines: str) -> list[bytes]:
    """Return the header lines that the client gets."""
    raw = "\r\n".join(["HTTP/1.1 200 OK", "Content-Length: 0", *lines, "", ""]).encode()
    request = parse_request_head(get(), 100)
    rendered = plan.render_answer(parse_answer_head(raw, 100, b"GET"), request, keep_alive=True)
    return [line for line in split_head(rendered)[0][1:] if line != b"Content-Length: 0"]


@pytest.mark.parametrize(
    "line",
    [
        "Connection: close",
        "Keep-Alive: timeout=5",
        "Proxy-Authorization: Basic x",
        "Proxy-Connection: keep-alive",
        "TE: trailers",
        "Trailer: X",
        "Upgrade: h2c",
        "HTTP2-Settings: x",
        "Proxy: http://evil",
        "Teleport-Jwt-Assertion: x",
        "teleport_jwt_assertion: x",
        "TELEPORT-anything: x",
        "X-Teleport-User: root",
        "X_Teleport-User: root",
    ],
)
def test_hostile_68_what_is_not_the_clients_to_say_is_dropped(line: str) -> None:
    assert ask(HeaderPlan(), line) == []


def test_headers_that_connection_names_are_dropped_and_those_that_are_set_are_not() -> None:
    plan = HeaderPlan(set_headers=((JWT, b"ours"),))
    lines = ["Connection: X-A, teleport-jwt-assertion, host, content-length", "X-A: 1", "x-a: 2", "X-B: 3"]
    assert ask(plan, *lines) == [b"Teleport-Jwt-Assertion: ours", b"X-B: 3"]


def test_a_length_cannot_be_named_away() -> None:
    raw = get("/", "Connection: content-length, transfer-encoding", "Content-Length: 3", method="POST")
    rendered = HeaderPlan().render_request(parse_request_head(raw, 100))
    assert b"\r\nContent-Length: 3\r\n" in rendered


def test_headers_that_are_set_replace_the_clients_in_every_spelling() -> None:
    plan = HeaderPlan(set_headers=((b"X-User", b"alice"), (b"X-Roles", b"a"), (b"X-Roles", b"b")))
    lines = ["x-user: root", "X_USER: root", "X-Roles: c", "X-Users: kept"]
    assert ask(plan, *lines) == [b"X-User: alice", b"X-Roles: a", b"X-Roles: b", b"X-Users: kept"]


def test_other_headers_keep_their_spelling_their_order_and_their_number() -> None:
    lines = ["aCCept: */*", "X_under: 1", "X-A: 1", "X-A: 2", "Range: bytes=0-", "Authorization: Bearer x"]
    assert ask(HeaderPlan(), *lines) == [line.encode() for line in lines]


def test_the_host_is_kept_or_rewritten() -> None:
    head = parse_request_head(get(host="app.example.com:3080"), 100)
    assert b"\r\nHost: app.example.com:3080\r\n" in HeaderPlan().render_request(head)
    assert b"\r\nHost: 10.0.0.5:8443\r\n" in HeaderPlan(host=b"10.0.0.5:8443").render_request(head)


CLAIMS = [
    "X-Forwarded-For: 10.0.0.1",
    "x_forwarded_for: 10.0.0.1",
    "X-Forwarded-Host: evil",
    "X-Forwarded-Anything: evil",
    "X-Original-URL: /admin",
    "Forwarded: for=10.0.0.1",
    "X-Real-IP: 10.0.0.1",
    "True-Client-IP: 10.0.0.1",
]


@pytest.mark.parametrize(("address", "node"), [("192.0.2.7", "192.0.2.7"), ("2001:db8::7", '"[2001:db8::7]"')])
def test_hostile_51_the_clients_side_is_told_anew(address: str, node: str) -> None:
    assert ask(HeaderPlan(forwarded=Forwarded(address)), *CLAIMS) == [
        f"X-Forwarded-For: {address}".encode(),
        b"X-Forwarded-Proto: https",
        f"X-Real-IP: {address}".encode(),
        b"X-Forwarded-Host: app.example.com",
        f'Forwarded: for={node};host="app.example.com";proto=https'.encode(),
    ]


def test_the_second_of_two_proxies_passes_what_the_first_one_told() -> None:
    assert ask(HeaderPlan(), *CLAIMS) == [claim.encode() for claim in CLAIMS]


@pytest.mark.parametrize(
    ("sent", "left"),
    [
        ("a=1; __Host-session=s3cret; b=2", "a=1; b=2"),
        ("__Host-session=s3cret; b=2", "b=2"),
        ("a=1;__Host-session=s3cret", "a=1"),
        ("a=1; __Host-session = s3cret", "a=1"),
        ("x__Host-session=1; __host-session=2", "x__Host-session=1; __host-session=2"),
        ("a=__Host-session", "a=__Host-session"),
        ("a=1; __Host-session=s3cret; __Host-session=s3cret", "a=1"),
    ],
)
def test_the_cookie_of_our_session_never_reaches_the_application(sent: str, left: str) -> None:
    plan = HeaderPlan(hidden_cookies=frozenset({b"__Host-session"}))
    assert ask(plan, f"Cookie: {sent}") == [f"Cookie: {left}".encode()]
    assert ask(plan, "Cookie: __Host-session=s3cret") == []


def test_an_application_sets_its_cookies_and_not_ours() -> None:
    plan = HeaderPlan(hidden_cookies=frozenset({b"__Host-session"}))
    theirs = "Set-Cookie: a=1; Domain=example.com; Path=/"
    assert answer(plan, theirs, "Set-Cookie: __Host-session=x; Secure", "set-cookie:  __Host-session =x") == [
        theirs.encode()
    ]


@pytest.mark.parametrize(
    ("sent", "got"),
    [
        ("http://localhost:8080/a?b=c#d", "https://app.example.com/a?b=c#d"),
        ("https://LOCALHOST:8080", "https://app.example.com"),
        ("//localhost:8080/a", "https://app.example.com/a"),
        ("/a", "/a"),
        ("http://localhost:8081/a", "http://localhost:8081/a"),
        ("http://localhost:8080@evil/a", "http://localhost:8080@evil/a"),
        ("http://evil/?http://localhost:8080", "http://evil/?http://localhost:8080"),
        ("ftp://localhost:8080/", "ftp://localhost:8080/"),
    ],
)
def test_a_redirect_to_the_applications_own_host_leads_to_its_public_one(sent: str, got: str) -> None:
    plan = HeaderPlan(redirect_hosts=frozenset({b"localhost:8080"}), public_origin=b"https://app.example.com")
    assert answer(plan, f"Location: {sent}") == [f"Location: {got}".encode()]
    assert answer(HeaderPlan(), f"Location: {sent}") == [f"Location: {sent}".encode()]


def test_answers_lose_what_concerns_one_connection_alone() -> None:
    lines = [
        "Connection: X-A",
        "X-A: 1",
        "Keep-Alive: timeout=5",
        "Upgrade: h2",
        "Alt-Svc: h3",
        "Trailer: X",
        "Server: s",
        "Date: d",
    ]
    assert answer(HeaderPlan(), *lines) == [b"Server: s", b"Date: d"]


@pytest.mark.parametrize(
    "header",
    [
        (b"X-A", b"a\r\nX-B: b"),
        (b"X-A", b"a\0"),
        (b"X A", b"a"),
        (b"", b"a"),
        (b"X-A:", b"a"),
        (b"Host", b"a"),
        (b"Content-Length", b"3"),
        (b"transfer-encoding", b"chunked"),
        (b"Connection", b"close"),
    ],
)
def test_a_header_that_cannot_be_set_is_refused_beforehand(header: tuple[bytes, bytes]) -> None:
    with pytest.raises(BadParameter):
        HeaderPlan(set_headers=(header,))


def test_a_plan_does_not_show_what_it_sets() -> None:
    assert "s3cret" not in repr(HeaderPlan(set_headers=((JWT, b"s3cret"),)))


def test_a_plan_remembers_a_bounded_number_of_names() -> None:
    plan = HeaderPlan()
    for number in range(2000):
        assert ask(plan, f"X-{number}: 1") == [b"X-%d: 1" % number]
    assert len(plan._known) < 1000
