import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.web.call import MAX_PARAMETERS, Call, Peer, Reply, RequestHead

SECRET = b"the-secret-token"


def test_a_peer_without_certificate_is_anonymous() -> None:
    assert Peer("192.0.2.7").anonymous
    assert not Peer("192.0.2.7", b"certificate").anonymous


def test_bodies_are_not_shown_in_reprs() -> None:
    shown = repr(Call(Peer("192.0.2.7"), SECRET)) + repr(Reply(200, SECRET))
    assert "secret" not in shown


def ask(target: str = "/", **fields: str) -> RequestHead:
    return RequestHead("GET", target, fields)


def test_a_target_is_a_path_and_a_query_and_nothing_of_the_path_is_decoded() -> None:
    head = ask("/web/%2e%2e/x?name=a%20b&flag&name2=")
    assert head.path == "/web/%2e%2e/x"
    assert head.query == {"name": "a b", "flag": "", "name2": ""}


@pytest.mark.parametrize("query", ["a=1&a=2", "a=1&b=2&a=1"])
def test_a_parameter_that_stands_twice_is_none(query: str) -> None:
    assert "a" not in ask(f"/?{query}").query


@pytest.mark.parametrize(("count", "kept"), [(MAX_PARAMETERS, MAX_PARAMETERS), (MAX_PARAMETERS + 1, 0)])
def test_a_query_has_so_many_parameters_and_no_more(count: int, kept: int) -> None:
    assert len(ask("/?" + "&".join(f"p{number}=1" for number in range(count))).query) == kept


def test_cookies_are_read_and_one_that_stands_twice_is_none() -> None:
    assert ask(cookie="__Host-session=a=b; theme=dark ;junk; x=1; x=2").cookies == {
        "__Host-session": "a=b",
        "theme": "dark",
    }


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("Proxy.Example.COM:3080", "proxy.example.com"),
        ("proxy.example.com.", "proxy.example.com"),
        ("[2001:db8::1]:443", "2001:db8::1"),
        ("192.0.2.1", "192.0.2.1"),
        ("", ""),
        ("[", ""),
    ],
)
def test_a_host_is_named_without_port_and_in_lower_case(text: str, host: str) -> None:
    assert ask(host=text).host == host


@given(st.text(max_size=200), st.text(max_size=200), st.text(max_size=200))
def test_whatever_a_head_says_can_be_asked_for(target: str, cookie: str, host: str) -> None:
    head = ask(target, cookie=cookie, host=host)
    assert isinstance(head.host, str)
    assert all(isinstance(value, str) for value in (*head.query.values(), *head.cookies.values()))


def test_targets_and_headers_are_not_shown_in_reprs() -> None:
    assert "secret" not in repr(Call(Peer("192.0.2.7"), b"", ask("/web/invite/secret", cookie="session=secret")))
