from collections.abc import Mapping
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.web_visitor import Page, read_page
from teleport.api.people import AppInfo, InviteShowResponse
from teleport.errors import AccessDenied, LimitExceeded
from teleport.pki.totp import build_otpauth_uri
from teleport.proxy.pages.applications import Entry
from teleport.proxy.pages.invitations import render_picture
from teleport.proxy.pages.rendering import Pages
from teleport.proxy.pages.visitors import Visitor

PAGES = Pages(cluster_name="example.com")
EVIL = "\"'><script>alert(1)</script><img src=x onerror=alert(1)>&lt;{{ 7 * 7 }}{% raw %}</title>--><!--\u202e"
TEXT = st.one_of(
    st.text(st.characters(exclude_characters="\r\0", exclude_categories=["Cs"]), min_size=1), st.just(EVIL)
)
SECRET = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"


def show_list(user: str, name: str, description: str, labels: Mapping[str, str]) -> Page:
    app = AppInfo(name=name, description=description, uri="", public_addr="", protocol="HTTP", labels=dict(labels))
    entries = [Entry(app, "/web/launch/a.example.com"), Entry(app, "")]
    reply = PAGES.render("applications", visitor=Visitor(user, "s"), token="t", entries=entries)
    return read_page(reply.body.decode())


@given(user=TEXT, name=TEXT, description=TEXT, key=TEXT, value=TEXT)
def test_hostile_63_nothing_that_an_agent_says_becomes_markup(
    user: str, name: str, description: str, key: str, value: str
) -> None:
    page, plain = show_list(user, name, description, {key: value}), show_list("u", "n", "d", {"k": "v"})
    assert page.tags == plain.tags
    assert [attribute for attribute, _ in page.attributes] == [attribute for attribute, _ in plain.attributes]
    assert page.links == plain.links
    assert {user, name, description, key, value} <= set(page.texts)


@given(user=TEXT, problem=TEXT)
def test_hostile_63_what_was_typed_stands_in_the_form_as_it_was(user: str, problem: str) -> None:
    def show(user: str, problem: str) -> Page:
        reply = PAGES.render("login", token="t", next="/web/apps", user=user, problem=problem)
        return read_page(reply.body.decode())

    page = show(user, problem)
    assert page.tags == show("u", "p").tags
    assert ("user", "text", user) in page.inputs


@given(user=TEXT)
def test_hostile_63_the_name_of_an_invitation_is_text(user: str) -> None:
    def show(user: str) -> Page:
        uri = build_otpauth_uri(secret=SECRET, user=user, issuer="example.com")
        invite = InviteShowResponse(
            user=user, is_reset=False, otpauth_uri=uri, totp_secret=SECRET, expires=datetime(2026, 1, 2, tzinfo=UTC)
        )
        reply = PAGES.render(
            "invitation", invite=invite, path="/web/invite/x", picture="", secret=SECRET, token="t", problem=""
        )
        return read_page(reply.body.decode())

    assert show(user).tags == show("u").tags
    assert user in show(user).texts


@given(message=TEXT)
def test_the_words_of_an_error_are_text(message: str) -> None:
    page = read_page(PAGES.explain(AccessDenied(message)).body.decode())
    assert page.tags == read_page(PAGES.explain(AccessDenied("x")).body.decode()).tags


def test_a_page_lets_a_browser_do_next_to_nothing() -> None:
    reply = PAGES.explain(LimitExceeded("slowly"))
    headers = dict(reply.headers)
    assert headers["Content-Security-Policy"] == (
        "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    )
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Strict-Transport-Security"] == "max-age=31536000"
    assert headers["X-Frame-Options"] == "DENY"
    assert (reply.status, headers["Retry-After"], reply.cache_control) == (429, "60", "no-store")


@pytest.mark.parametrize("template", ["login", "going_on", "error"])
def test_pages_have_no_script_no_style_of_their_own_and_nothing_of_other_hosts(template: str) -> None:
    reply = PAGES.render(template, token="t", next="/", user="", problem="x", destination="/web/launch/x", message="m")
    page = read_page(reply.body.decode())
    assert not {"script", "style", "iframe", "object", "base"} & set(page.tags)
    names = [name for name, _ in page.attributes]
    assert not [name for name in names if name == "style" or name.startswith("on")]
    sources = [value for name, value in page.attributes if name in {"src", "href", "action"}]
    assert all(source.startswith("/web/") for source in sources)
    assert ("lang", "en") in page.attributes


def test_a_picture_of_a_second_factor_is_plain_svg() -> None:
    picture = render_picture(build_otpauth_uri(secret=SECRET, user=EVIL, issuer="example.com"))
    assert read_page(picture).tags == ["svg", "path", "path"]
    assert "style=" not in picture
