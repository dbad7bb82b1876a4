import json
from http import HTTPStatus

from teleport.proxy.applications.pages import build_page, build_redirect


def test_a_browser_is_told_in_a_page_without_script_or_style() -> None:
    page = build_page(HTTPStatus.BAD_GATEWAY, "x", "it <b>does</b> not answer", as_page=True, request_id="ab12")
    assert page.content_type.startswith("text/html")
    assert b"It &lt;b&gt;does&lt;/b&gt; not answer." in page.body
    assert b"ab12" in page.body
    assert b"<script" not in page.body
    assert "default-src 'none'" in dict(page.headers)["Content-Security-Policy"]


def test_programs_are_told_in_json() -> None:
    page = build_page(HTTPStatus.FORBIDDEN, "access_denied", "no", as_page=False)
    assert json.loads(page.body) == {"error": {"code": "access_denied", "message": "no"}}


def test_a_redirect_tells_nothing_of_where_it_comes_from() -> None:
    reply = build_redirect("/d", "a=1", "b=2")
    assert [value for name, value in reply.headers if name == "Set-Cookie"] == ["a=1", "b=2"]
    assert dict(reply.headers)["Referrer-Policy"] == "no-referrer"
    assert reply.cache_control == "no-store"
