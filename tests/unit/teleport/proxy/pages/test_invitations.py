import pytest

from support.web_stage import WebStage
from support.web_visitor import PASSWORD, read_page


async def test_an_invitation_is_accepted_once_and_signs_in() -> None:
    stage = await WebStage.start()
    visitor, path = stage.visit(), await stage.invite("alice")
    page = await visitor.get(path)
    secret = read_page(page.text).secret
    assert "<svg" in page.text
    assert 'autocomplete="new-password"' in page.text
    assert page.find("referrer-policy") == "no-referrer"
    fields = visitor.fill_invitation(page, secret, code=stage.build_code(secret, 0))
    done = await visitor.post(path, fields)
    assert (done.status, done.find("location")) == (303, "/web/apps")
    assert "alice" in (await visitor.get("/web/apps")).text
    again = await stage.visit().get(path)
    assert again.status == 404
    assert "used already, or its time is over" in again.text
    assert (await visitor.post(path, fields)).status == 404


async def test_a_reset_link_says_so_and_ends_the_session_before() -> None:
    stage = await WebStage.start()
    visitor, path = stage.visit(), await stage.invite("alice")
    page = await visitor.get(path)
    secret = read_page(page.text).secret
    await visitor.post(path, visitor.fill_invitation(page, secret, code=stage.build_code(secret, 0)))
    path = await stage.reset("alice")
    assert path.startswith("/web/reset/")
    assert (await visitor.get("/web/apps")).find("location") == "/web/login"
    page = await visitor.get(path)
    assert "Set a new password" in page.text
    assert read_page(page.text).secret != secret


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"code": "000000"}, "The code is wrong"),
        ({"password": "short", "repeated": "short"}, "12"),
        ({"repeated": PASSWORD + "!"}, "The two passwords differ"),
        ({"password": "p" * 1025, "repeated": "p" * 1025}, "not acceptable: password"),
        ({"code": "1" * 17}, "not acceptable: code"),
    ],
)
async def test_who_mistypes_tries_again_with_the_same_second_factor(fields: dict[str, str], problem: str) -> None:
    stage = await WebStage.start()
    visitor, path = stage.visit(), await stage.invite()
    page = await visitor.get(path)
    secret = read_page(page.text).secret
    good = visitor.fill_invitation(page, secret, code=stage.build_code(secret, 0))
    refused = await visitor.post(path, good | fields)
    assert refused.status == 400
    assert problem in refused.text
    assert read_page(refused.text).secret == secret
    assert PASSWORD not in refused.text
    assert (await visitor.post(path, good | refused.hidden)).status == 303


async def test_five_wrong_codes_end_the_link() -> None:
    stage = await WebStage.start()
    visitor, path = stage.visit(), await stage.invite()
    page = await visitor.get(path)
    wrong = visitor.fill_invitation(page, read_page(page.text).secret, code="000000")
    assert [(await visitor.post(path, wrong)).status for _ in range(5)] == [400, 400, 400, 400, 404]


@pytest.mark.parametrize("invite_id", ["x", "x" * 43, "x" * 128])
async def test_a_link_that_was_never_made_is_a_page_that_says_whom_to_ask(invite_id: str) -> None:
    stage = await WebStage.start()
    answer = await stage.visit().get(f"/web/invite/{invite_id}")
    assert answer.status == 404
    assert "ask your administrator" in answer.text
    assert "x" * 43 not in answer.text


async def test_another_site_accepts_no_invitation() -> None:
    stage = await WebStage.start()
    visitor, path = stage.visit(), await stage.invite()
    page = await visitor.get(path)
    secret = read_page(page.text).secret
    fields = visitor.fill_invitation(page, secret, code=stage.build_code(secret, 0))
    assert (await visitor.post(path, fields, sec_fetch_site="cross-site")).status == 403
    assert (await stage.visit().post(path, fields)).status == 403
    assert (await visitor.post(path, fields)).status == 303
