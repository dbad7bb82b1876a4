import pytest

from support.web_stage import BROWSER, WebStage
from support.web_visitor import PASSWORD, WebVisitor
from teleport.errors import ConnectionFailed

APP = "/web/launch/grafana.proxy.example.com?path=%2Fd&state=abc"


async def start_with_alice() -> tuple[WebStage, str]:
    """Return the pages, and the second factor of a user who has accepted an invitation."""
    stage = await WebStage.start()
    visitor = stage.visit()
    page = await visitor.get(path := await stage.invite())
    secret = (await stage.auth.stores.invites.get(path.rpartition("/")[2])).totp_secret
    fields = visitor.fill_invitation(page, secret, code=stage.build_code(secret, -1))
    assert (await visitor.post(path, fields)).status == 303
    return stage, secret


async def test_who_proves_who_they_are_gets_a_session_in_a_cookie_that_only_this_host_can_set() -> None:
    stage, secret = await start_with_alice()
    visitor = stage.visit()
    answer = await visitor.sign_in("alice", stage.build_code(secret))
    assert (answer.status, answer.find("location")) == (303, "/web/apps")
    assert answer.cookies["__Host-session"].endswith("; Path=/; Secure; HttpOnly; SameSite=Lax")
    assert "alice" in (await visitor.get("/web/apps")).text
    assert (await visitor.get("/web/login")).find("location") == "/web/apps"


async def test_the_auth_server_learns_the_browsers_address() -> None:
    stage, secret = await start_with_alice()
    await stage.visit().sign_in("alice", stage.build_code(secret))
    assert (await stage.auth.last_event())["remote_addr"] == BROWSER


async def test_a_code_may_have_the_space_that_authenticators_show() -> None:
    stage, secret = await start_with_alice()
    code = stage.build_code(secret)
    assert (await stage.visit().sign_in("alice", f"{code[:3]} {code[3:]}")).status == 303


@pytest.mark.parametrize(
    ("user", "password", "step"), [("alice", PASSWORD, 9), ("alice", "a wrong password", 1), ("bob", PASSWORD, 1)]
)
async def test_anything_wrong_is_refused_alike_and_only_the_name_is_still_there(
    user: str, password: str, step: int
) -> None:
    stage, secret = await start_with_alice()
    visitor = stage.visit()
    answer = await visitor.sign_in(user, stage.build_code(secret, step), password)
    assert answer.status == 403
    assert "The user name, the password or the code is wrong, or the user is locked for a while." in answer.text
    assert password not in answer.text
    assert f'value="{user}"' in answer.text
    assert "__Host-session" not in visitor.cookies
    assert (await visitor.get("/web/apps")).find("location") == "/web/login"


async def test_a_refused_visitor_may_try_again_with_the_same_page() -> None:
    stage, secret = await start_with_alice()
    visitor = stage.visit()
    refused = await visitor.sign_in("alice", "000000")
    typed = {"user": "alice", "password": PASSWORD, "code": stage.build_code(secret)}
    assert (await visitor.post("/web/login", refused.hidden | typed)).status == 303


async def test_who_was_on_the_way_to_an_application_goes_on_by_a_page() -> None:
    stage, secret = await start_with_alice()
    visitor = stage.visit()
    asked = await visitor.get(APP)
    assert asked.status == 302
    page = await visitor.get(asked.find("location"))
    typed = {"user": "alice", "password": PASSWORD, "code": stage.build_code(secret)}
    answer = await visitor.post("/web/login", page.hidden | typed)
    assert (answer.status, answer.links[-1]) == (200, APP)
    assert 'http-equiv="refresh"' in answer.text


async def test_nobody_is_led_to_another_site_by_a_link_to_this_one() -> None:
    stage, secret = await start_with_alice()
    answer = await stage.visit().sign_in("alice", stage.build_code(secret), following="https://evil.example.com/")
    assert answer.find("location") == "/web/apps"


async def test_who_signs_out_has_no_session_any_more_here_or_in_auth() -> None:
    stage, secret = await start_with_alice()
    visitor = stage.visit()
    await visitor.sign_in("alice", stage.build_code(secret))
    session = visitor.cookies["__Host-session"]
    page = await visitor.get("/web/apps")
    answer = await visitor.post("/web/logout", page.hidden)
    assert (answer.status, answer.find("location")) == (303, "/web/login")
    assert "__Host-session" not in visitor.cookies
    stolen = stage.visit(**{"__Host-session": session})
    assert (await stolen.get("/web/apps")).find("location") == "/web/login"


@pytest.mark.parametrize(
    "manners",
    [
        {"sec_fetch_site": "cross-site"},
        {"sec_fetch_site": "same-site", "origin": "https://grafana.proxy.example.com"},
        {"sec_fetch_site": "", "origin": ""},
        {"sec_fetch_site": "", "origin": "https://evil.example.com"},
    ],
)
async def test_another_site_signs_nobody_out_and_nobody_in(manners: dict[str, str]) -> None:
    stage, secret = await start_with_alice()
    visitor = stage.visit()
    await visitor.sign_in("alice", stage.build_code(secret))
    page = await visitor.get("/web/apps")
    assert (await visitor.post("/web/logout", page.hidden, **manners)).status == 403
    assert (await visitor.get("/web/apps")).status == 200
    stranger = stage.visit()
    page = await stranger.get("/web/login")
    asked = len(stage.asked)
    typed = {"user": "alice", "password": PASSWORD, "code": stage.build_code(secret)}
    assert (await stranger.post("/web/login", page.hidden | typed, **manners)).status == 403
    assert len(stage.asked) == asked


async def test_another_site_whose_request_brings_no_cookie_takes_none_away() -> None:
    stage = await WebStage.start()
    answer = await stage.visit().post("/web/logout", {"token": "x"}, sec_fetch_site="cross-site")
    assert (answer.status, answer.cookies) == (403, {})


async def test_who_signs_out_twice_is_signed_out() -> None:
    stage = await WebStage.start()
    assert (await stage.visit().post("/web/logout", {"token": "x"})).find("location") == "/web/login"


async def test_a_form_that_was_made_for_another_browser_is_refused_before_auth_is_asked() -> None:
    stage, secret = await start_with_alice()
    page = await stage.visit().get("/web/login")
    typed = {"user": "alice", "password": PASSWORD, "code": stage.build_code(secret)}
    for visitor in (stage.visit(), await open_login(stage)):
        asked = len(stage.asked)
        assert (await visitor.post("/web/login", page.hidden | typed)).status == 403
        assert len(stage.asked) == asked


async def open_login(stage: WebStage) -> WebVisitor:
    visitor = stage.visit()
    await visitor.get("/web/login")
    return visitor


async def test_a_session_is_not_ended_by_the_form_of_another_one() -> None:
    stage, secret = await start_with_alice()
    visitor = stage.visit()
    login = await visitor.get("/web/login")
    await visitor.sign_in("alice", stage.build_code(secret))
    assert (await visitor.post("/web/logout", {"token": login.hidden["token"]})).status == 403
    assert (await visitor.get("/web/apps")).status == 200


@pytest.mark.parametrize("length", [128, 129])
async def test_a_name_is_as_long_as_names_are(length: int) -> None:
    stage, _ = await start_with_alice()
    answer = await stage.visit().sign_in("a" * length, "123456")
    assert answer.status == (403 if length == 128 else 400)


@pytest.mark.parametrize("cookie", ["", "x", "s" * 42, "s" * 44, "s" * 42 + "!"])
async def test_a_cookie_that_cannot_be_ours_is_not_taken_to_auth(cookie: str) -> None:
    stage, _ = await start_with_alice()
    asked = len(stage.asked)
    visitor = stage.visit(**{"__Host-session": cookie, "__Host-form": cookie})
    answer = await visitor.get("/web/login")
    assert answer.status == 200
    assert len(visitor.cookies["__Host-form"]) == 43
    assert len(stage.asked) == asked


async def test_two_cookies_of_one_name_are_none() -> None:
    stage, secret = await start_with_alice()
    visitor = stage.visit()
    await visitor.sign_in("alice", stage.build_code(secret))
    pair = f"__Host-session={visitor.cookies['__Host-session']}"
    answer = await stage.visit().get("/web/apps", cookie=f"{pair}; __Host-session={'x' * 43}")
    assert answer.find("location") == "/web/login"


async def test_a_cluster_that_does_not_answer_is_a_page_that_says_when_to_come_back() -> None:
    stage, secret = await start_with_alice()
    visitor = stage.visit()
    await visitor.sign_in("alice", stage.build_code(secret))
    stage.failure = ConnectionFailed("cannot talk to 10.0.0.7:3025: Connection refused")
    answer = await visitor.get("/web/apps")
    assert (answer.status, answer.find("retry-after")) == (503, "5")
    assert "The cluster does not answer at present" in answer.text
    assert "10.0.0.7" not in answer.text
