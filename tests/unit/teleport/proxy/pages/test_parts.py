from http import HTTPStatus

import pytest

from support.web_stage import WebStage
from support.web_visitor import FORM
from teleport.proxy.pages.rendering import ONE_YEAR, Pages


@pytest.mark.parametrize("path", ["/", "/web"])
async def test_whoever_knows_no_path_is_led_to_the_list(path: str) -> None:
    stage = await WebStage.start()
    answer = await stage.visit().get(path)
    assert (answer.status, answer.find("location")) == (302, "/web/apps")


async def test_a_page_that_is_not_there_is_a_page_that_says_so() -> None:
    stage = await WebStage.start()
    answer = await stage.visit().get("/web/other")
    assert (answer.status, answer.find("content-type")) == (404, "text/html; charset=utf-8")
    assert "There is no such page." in answer.text


async def test_style_and_icon_may_be_kept_for_ever_and_are_asked_for_as_often_as_one_likes() -> None:
    stage = await WebStage.start(burst=1)
    pages = Pages(cluster_name="x")
    for _ in range(3):
        for name, content_type in (("style.css", "text/css; charset=utf-8"), ("icon.svg", "image/svg+xml")):
            answer = await stage.visit().get(pages.asset_path(name))
            assert (answer.status, answer.find("content-type")) == (200, content_type)
            assert answer.find("cache-control") == ONE_YEAR
    assert pages.asset_path("style.css") in (await stage.visit().get("/web/login")).text


async def test_pages_are_never_kept() -> None:
    stage = await WebStage.start()
    for path in ("/web/login", "/web/apps", "/web/other", await stage.invite(), "/webapi/apps"):
        answer = await stage.visit().get(path)
        assert answer.find("cache-control") == "no-store"


async def test_who_asks_too_often_is_told_so_by_a_page() -> None:
    stage = await WebStage.start(burst=2)
    visitor = stage.visit()
    assert [(await visitor.get("/web/login")).status for _ in range(2)] == [200, 200]
    answer = await visitor.get("/web/login")
    assert (answer.status, answer.find("content-type")) == (429, "text/html; charset=utf-8")
    assert answer.find("retry-after")
    assert (await visitor.get("/webapi/apps")).text.startswith('{"error"')


@pytest.mark.parametrize(
    ("length", "status"), [(4096, HTTPStatus.BAD_REQUEST), (4097, HTTPStatus.REQUEST_ENTITY_TOO_LARGE)]
)
async def test_a_form_is_short(length: int, status: HTTPStatus) -> None:
    stage = await WebStage.start()
    headers = {"content_type": FORM, "sec_fetch_site": "same-origin"}
    answer = await stage.visit().ask("POST", "/web/login", headers, b"a=" + b"a" * (length - 2))
    assert (answer.status, answer.find("content-type")) == (status, "text/html; charset=utf-8")


@pytest.mark.parametrize("path", ["/web/login", "/web/logout", "/web/invite/x", "/web/reset/x"])
@pytest.mark.parametrize("content_type", ["application/json", "text/plain", "multipart/form-data; boundary=x"])
async def test_a_form_is_nothing_but_a_form(path: str, content_type: str) -> None:
    stage = await WebStage.start()
    headers = {"content_type": content_type, "sec_fetch_site": "same-origin"}
    assert (await stage.visit().ask("POST", path, headers, b"token=x")).status == 415
    assert stage.asked == []
