"""The proxy's pages by plain HTTP: what a browser shows and a program asks for, at real processes."""

import json

import pytest

from support.cluster import AuthServer
from support.processes import Processes
from support.proxy import Proxy
from support.secrecy import assert_untold
from support.web_visitor import PASSWORD, WebVisitor, build_code, send_to
from teleport.resources.strict_yaml import parse_documents


@pytest.fixture(scope="module")
def proxy(auth: AuthServer, shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> Proxy:
    """A proxy that all tests of this module share."""
    return Proxy(shared_processes, tmp_path_factory.mktemp("shared") / "front", auth).start()


def visit(proxy: Proxy) -> WebVisitor:
    return WebVisitor(send_to(proxy.address), host=str(proxy.address))


def invite(auth: AuthServer, user: str, *, reset: bool = False) -> str:
    """Return the path of a link that `tctl` prints."""
    command = ("reset", user) if reset else ("add", user, "--roles=access")
    (document,) = parse_documents(auth.tctl("users", *command, "--format=yaml"))
    return "/web/" + str(document["url"]).partition("/web/")[2]


async def test_an_invited_user_signs_in_and_out_and_no_secret_is_told(auth: AuthServer, proxy: Proxy) -> None:
    path = invite(auth, "alice")
    visitor = visit(proxy)
    secret = await visitor.enrol(path)
    assert "alice" in (await visitor.get("/web/apps")).text

    other = visit(proxy)
    signed_in = await other.sign_in("alice", build_code(secret))
    session = other.cookies["__Host-session"]
    assert signed_in.find("location") == "/web/apps"
    page = await other.get("/web/apps")
    assert (await other.post("/web/logout", page.hidden)).find("location") == "/web/login"
    assert (await other.get("/web/apps")).find("location") == "/web/login"
    assert (await visitor.get("/web/apps")).status == 200

    assert_untold(auth, PASSWORD, secret, session, path.rpartition("/")[2])
    for told in (PASSWORD, secret, session, path.rpartition("/")[2]):
        assert told not in proxy.process.log


async def test_a_used_link_is_a_page_that_says_so(auth: AuthServer, proxy: Proxy) -> None:
    path = invite(auth, "bob")
    await visit(proxy).enrol(path)
    answer = await visit(proxy).get(path)
    assert (answer.status, answer.find("content-type")) == (404, "text/html; charset=utf-8")
    assert "ask your administrator" in answer.text


async def test_a_reset_ends_the_session_and_leads_to_a_new_password(auth: AuthServer, proxy: Proxy) -> None:
    visitor = visit(proxy)
    await visitor.enrol(invite(auth, "carol"))
    path = invite(auth, "carol", reset=True)
    assert (await visitor.get("/web/apps")).find("location") == "/web/login"
    await visitor.enrol(path)
    assert (await visitor.get("/web/apps")).status == 200


async def test_five_failures_lock_a_user_out_and_the_page_does_not_tell(auth: AuthServer, proxy: Proxy) -> None:
    secret = await visit(proxy).enrol(invite(auth, "dora"))
    refusals = {(await visit(proxy).sign_in("dora", "000000")).status for _ in range(5)}
    locked = await visit(proxy).sign_in("dora", build_code(secret))
    assert refusals | {locked.status} == {403}
    assert "locked until" in auth.tctl("users", "ls")
    assert (await visit(proxy).sign_in("nobody", "000000")).text.count("is locked for a while") == 1


async def test_another_site_signs_nobody_out(auth: AuthServer, proxy: Proxy) -> None:
    visitor = visit(proxy)
    await visitor.enrol(invite(auth, "erin"))
    page = await visitor.get("/web/apps")
    assert (await visitor.post("/web/logout", page.hidden, sec_fetch_site="same-site")).status == 403
    assert (await visitor.post("/web/logout", page.hidden, origin="https://evil.example.com")).status == 403
    assert (await visitor.post("/web/logout", {"token": "x" * 43})).status == 403
    assert (await visitor.get("/web/apps")).status == 200


async def test_a_program_does_the_same_by_json(auth: AuthServer, proxy: Proxy) -> None:
    secret = await visit(proxy).enrol(invite(auth, "frank"))
    program = visit(proxy)
    body = json.dumps({"user": "frank", "password": PASSWORD, "code": build_code(secret)}).encode()
    begun = await program.ask("POST", "/v1/webapi/sessions", {"content-type": "application/json"}, body)
    assert (begun.status, json.loads(begun.text)["user"]) == (200, "frank")
    assert json.loads((await program.get("/v1/webapi/apps")).text) == {"apps": []}
    assert (await program.ask("DELETE", "/v1/webapi/sessions", {})).status == 200
    assert (await program.get("/v1/webapi/apps")).status == 401


async def test_pages_have_their_headers_on_the_wire(proxy: Proxy) -> None:
    answer = await visit(proxy).get("/web/login")
    assert answer.find("x-content-type-options") == "nosniff"
    assert answer.find("strict-transport-security")
    assert answer.find("content-security-policy").startswith("default-src 'none'")
    assert answer.find("cache-control") == "no-store"
    head = await visit(proxy).ask("HEAD", "/web/login", {})
    assert (head.status, head.text) == (200, "")


async def test_a_cluster_that_is_down_is_a_page(auth: AuthServer, proxy: Proxy) -> None:
    visitor = visit(proxy)
    await visitor.enrol(invite(auth, "grace"))
    assert auth.process.stop() == 0
    try:
        answer = await visitor.get("/web/apps")
        assert (answer.status, answer.find("content-type")) == (503, "text/html; charset=utf-8")
    finally:
        auth.start()
    assert (await visitor.get("/web/apps")).status == 200
