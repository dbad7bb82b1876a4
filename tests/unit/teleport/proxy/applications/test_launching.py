from datetime import timedelta
from urllib.parse import urljoin, urlsplit

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.clock import FakeClock
from teleport.proxy.applications.launching import (
    MAX_PATH,
    build_auth_location,
    build_launch_location,
    check_path,
    is_state,
    make_state,
    read_launch,
    render_session_cookie,
    render_state_cookie,
)


@pytest.mark.parametrize("path", ["/", "/a/b?c=d&e=%20", "/a//b", "/?x=https://y.example/"])
def test_a_path_is_kept(path: str) -> None:
    assert check_path(path) == path


@pytest.mark.parametrize(
    "path",
    [
        "",
        "a",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil",
        "https://evil.example/",
        "/a b",
        "/a\nb",
        "/\u00e9",
        "/a\\..\\b",
    ],
)
def test_what_may_lead_elsewhere_is_the_root(path: str) -> None:
    assert check_path(path) == "/"


def test_a_path_has_a_longest_length() -> None:
    longest = "/" + "a" * (MAX_PATH - 1)
    assert check_path(longest) == longest
    assert check_path(longest + "a") == "/"


@given(st.text())
def test_no_path_leaves_the_host(path: str) -> None:
    assert urlsplit(urljoin("https://app.example/", check_path(path))).netloc == "app.example"


def test_locations_are_quoted() -> None:
    state = make_state()
    launch = build_launch_location("https://front.example", "app.example", path="/a?b=c&d=e", state=state)
    assert launch == f"https://front.example/web/launch/app.example?path=%2Fa%3Fb%3Dc%26d%3De&state={state}"
    auth = build_auth_location("https://app.example", code="c&x=y", state=state, path="//evil")
    assert auth == f"https://app.example/x-teleport-auth?code=c%26x%3Dy&state={state}&path=%2F"


def test_a_state_is_random_and_recognised() -> None:
    assert is_state(make_state())
    assert make_state() != make_state()
    for text in ("", "a" * 42, "a" * 44, "a" * 42 + "="):
        assert not is_state(text)


def test_a_launch_is_read_from_a_query_of_strangers() -> None:
    state = make_state()
    assert read_launch({"path": "/a", "state": state}) == ("/a", state)
    assert read_launch({}) == ("/", "")
    assert read_launch({"path": "//evil", "state": "x\r\ny"}) == ("/", "")


def test_cookies_are_for_this_host_alone_and_out_of_reach_of_scripts() -> None:
    now = FakeClock().now()
    session = render_session_cookie("id", now + timedelta(hours=1), now)
    for cookie in (session, render_state_cookie("s"), render_state_cookie("")):
        assert cookie.startswith("__Host-app_")
        assert "; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age=" in cookie
        assert "Domain" not in cookie
    assert session.endswith("Max-Age=3600")
    assert render_state_cookie("").endswith("Max-Age=0")
