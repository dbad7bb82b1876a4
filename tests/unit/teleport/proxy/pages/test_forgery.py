import pytest

from teleport.errors import AccessDenied
from teleport.proxy.pages.forgery import build_form_token, check_form_token, check_own_origin
from teleport.web.call import RequestHead

SECRET = "s" * 43


def build_head(**fields: str) -> RequestHead:
    named = {name.replace("_", "-"): value for name, value in fields.items()}
    return RequestHead("POST", "/web/login", {"host": "Proxy.example.com:3080", **named})


@pytest.mark.parametrize(
    "fields",
    [
        {"sec_fetch_site": "same-origin"},
        {"sec_fetch_site": "same-origin", "origin": "null"},
        {"sec_fetch_site": "same-origin", "origin": "https://proxy.example.com:3080"},
        {"origin": "https://proxy.example.com:3080"},
    ],
)
def test_a_page_of_ours_may_send_a_form(fields: dict[str, str]) -> None:
    check_own_origin(build_head(**fields), is_form=True)


def test_the_port_that_https_means_is_not_part_of_an_origin() -> None:
    check_own_origin(build_head(host="proxy.example.com:443", origin="https://proxy.example.com"), is_form=True)


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"origin": "null"},
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site"},
        {"sec_fetch_site": "none"},
        {"sec_fetch_site": "same-origin, cross-site"},
        {"sec_fetch_site": "same-origin", "origin": "https://evil.example.com"},
        {"origin": "https://evil.example.com"},
        {"origin": "https://grafana.proxy.example.com:3080"},
        {"origin": "https://proxy.example.com"},
        {"origin": "http://proxy.example.com:3080"},
        {"origin": "https://proxy.example.com:3080.evil.example.com"},
        {"origin": "https://proxy.example.com:3080", "sec_fetch_site": "cross-site"},
    ],
)
def test_no_other_page_may(fields: dict[str, str]) -> None:
    with pytest.raises(AccessDenied):
        check_own_origin(build_head(**fields), is_form=True)


def test_a_program_that_is_no_browser_says_nothing_and_may_use_the_api() -> None:
    check_own_origin(build_head(), is_form=False)
    with pytest.raises(AccessDenied):
        check_own_origin(build_head(sec_fetch_site="same-site"), is_form=False)
    with pytest.raises(AccessDenied):
        check_own_origin(build_head(origin="null"), is_form=False)


def test_a_forms_token_belongs_to_one_cookie() -> None:
    check_form_token(SECRET, build_form_token(SECRET))
    assert SECRET not in build_form_token(SECRET)


@pytest.mark.parametrize(
    ("secret", "token"),
    [
        (SECRET, ""),
        (SECRET, build_form_token("t" * 43)),
        (SECRET, SECRET),
        (SECRET, build_form_token(SECRET) + "="),
        (SECRET, "é"),
        ("", build_form_token("")),
        ("", ""),
    ],
)
def test_any_other_token_is_refused(secret: str, token: str) -> None:
    with pytest.raises(AccessDenied):
        check_form_token(secret, token)
