from urllib.parse import quote

import pytest

from teleport.proxy.pages.destinations import build_launch_path, build_login_path, find_destination

APP = "/web/launch/grafana.proxy.example.com"


@pytest.mark.parametrize("wish", [APP, f"{APP}?path=%2Fd%2Fx&state=abc", f"{APP}?path=/a?b=c"])
def test_one_comes_back_to_the_launch_of_an_application(wish: str) -> None:
    assert find_destination(wish) == wish


@pytest.mark.parametrize(
    "wish",
    [
        "",
        "https://evil.example.com/",
        "//evil.example.com",
        "/\\evil.example.com",
        "/web/launch//evil.example.com",
        "/web/launch/../../x",
        "/web/launch/..",
        "/web/launch/a/b",
        "/web/launch/",
        f"{APP}\r\nSet-Cookie: a=b",
        f"{APP}\n",
        f'{APP}?"><script>',
        f"{APP}?a b",
        f"{APP}#x",
        f"{APP}?é",
        "javascript:alert(1)",
        "/web/logout",
        " " + APP,
    ],
)
def test_nobody_is_sent_anywhere_else(wish: str) -> None:
    assert find_destination(wish) == "/web/apps"


def test_the_way_back_goes_through_the_login_as_it_is() -> None:
    path = build_login_path(f"{APP}?path=%2Fx&state=s")
    assert path == "/web/login?next=%2Fweb%2Flaunch%2Fgrafana.proxy.example.com%3Fpath%3D%252Fx%26state%3Ds"
    assert build_login_path("/web/apps") == "/web/login"


@pytest.mark.parametrize(("length", "is_kept"), [(2048, True), (2049, False)])
def test_a_way_back_that_would_not_fit_into_a_form_is_the_application_alone(length: int, *, is_kept: bool) -> None:
    prefix = f"{APP}?"
    wish = prefix + "a" * (length - len(quote(prefix, safe="")))
    assert find_destination(wish) == (wish if is_kept else "/web/apps")
    assert build_login_path(wish) == f"/web/login?next={quote(wish if is_kept else APP, safe='')}"


@pytest.mark.parametrize("host", ["", "a/b", "javascript:alert(1)", "a?b", "..", "a b", "é.example.com", "a" * 129])
def test_hostile_63_a_host_name_that_is_none_becomes_no_link(host: str) -> None:
    assert build_launch_path(host) == ""
    assert build_launch_path("a" * 128) == "/web/launch/" + "a" * 128
