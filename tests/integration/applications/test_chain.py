"""Requests through proxy, tunnel and agent to an application, over real sockets in one process."""

import asyncio
import io
import json
from datetime import timedelta
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from support.app_chain import BROWSER, PROXY_HOST, Chain, run_app
from teleport.api import operations as ops
from teleport.api import people as p
from teleport.config.settings import Rewrite, Target
from teleport.pki.assertion import build_key_set, verify_assertion
from teleport.resources.access_role import Role, RoleConditions, RoleSpec
from teleport.resources.authority import AuthorityType
from teleport.resources.model import Metadata

GRAFANA = f"grafana.{PROXY_HOST}"
HALF_A_MINUTE = timedelta(seconds=30)


async def echo(request: web.Request) -> web.Response:
    """Tell what the application has got."""
    body = await request.read()
    return web.json_response({"path": request.raw_path, "headers": list(request.headers.items()), "size": len(body)})


async def get(
    browser: aiohttp.ClientSession, chain: Chain, path: str = "/", cookie: str = "", host: str = GRAFANA, **headers: str
) -> tuple[int, str]:
    sent = {"Host": host, **({"Cookie": cookie} if cookie else {}), **headers}
    async with browser.get(chain.url(path), headers=sent, allow_redirects=False) as answer:
        return answer.status, await answer.text()


async def test_a_request_reaches_the_application_and_tells_who_the_user_is(
    chain: Chain, browser: aiohttp.ClientSession
) -> None:
    async with run_app(web.get("/{tail:.*}", echo)) as port:
        uri = f"http://127.0.0.1:{port}"
        await chain.add_agent(Target("grafana", uri=uri))
        cookie = await chain.open_app(await chain.sign_in("alice", "access", team=["blue"]), "grafana")
        status, text = await get(browser, chain, "/d/1?a=b", cookie + "; theme=dark")
    assert status == 200
    told: dict[str, Any] = json.loads(text)
    headers = dict(told["headers"])
    assert told["path"] == "/d/1?a=b"
    assert headers["Host"] == f"127.0.0.1:{port}"
    assert headers["X-Forwarded-For"] == BROWSER
    assert headers["X-Forwarded-Host"] == GRAFANA
    assert headers["Cookie"] == "theme=dark"
    keys = build_key_set(chain.auth.authority.trust_bundle.jwt[AuthorityType.JWT])
    assertion = verify_assertion(
        headers["Teleport-Jwt-Assertion"], keys, issuer="example.com", audience=uri, now=chain.auth.clock.now()
    )
    assert (assertion.user, assertion.roles, dict(assertion.traits)) == ("alice", ("access",), {"team": ("blue",)})


async def test_a_stranger_in_a_browser_is_sent_to_sign_in_and_everybody_else_is_refused(
    chain: Chain, browser: aiohttp.ClientSession
) -> None:
    await chain.add_agent(Target("grafana", uri="http://127.0.0.1:9"))
    headers = {"Host": GRAFANA, "Accept": "text/html"}
    async with browser.get(chain.url("/d?x=1"), headers=headers, allow_redirects=False) as answer:
        assert answer.status == 302
        assert answer.headers["Location"].startswith(
            f"https://{PROXY_HOST}/web/launch/{GRAFANA}?path=%2Fd%3Fx%3D1&state="
        )
        assert answer.headers["Set-Cookie"].startswith("__Host-app_state=")
    assert (await get(browser, chain))[0] == 403
    assert (await get(browser, chain, cookie="__Host-app_session=" + "a" * 64 + "." + "b" * 43))[0] == 403
    async with browser.post(chain.url(), headers=headers, allow_redirects=False) as answer:
        assert answer.status == 403


async def test_an_application_that_nobody_serves_is_404(chain: Chain, browser: aiohttp.ClientSession) -> None:
    status, text = await get(browser, chain, Accept="text/html")
    assert (status, "no such application" in text) == (404, True)


async def test_a_browser_is_launched_into_an_application_once(chain: Chain, browser: aiohttp.ClientSession) -> None:
    async with run_app(web.get("/{tail:.*}", echo)) as port:
        await chain.add_agent(Target("grafana", uri=f"http://127.0.0.1:{port}"))
        session = await chain.sign_in("alice", "access")

        async def launch(query: dict[str, str]) -> str:
            return await chain.applications.launch(session_id=session, host=GRAFANA, query=query, remote_addr=BROWSER)

        assert await launch({"path": "/d"}) == f"https://{GRAFANA}/d"
        async with browser.get(
            chain.url("/d"), headers={"Host": GRAFANA, "Accept": "text/html"}, allow_redirects=False
        ) as answer:
            state = answer.cookies["__Host-app_state"].value
        location = await launch({"path": "/d", "state": state})
        target = location.removeprefix(f"https://{GRAFANA}")
        assert target.startswith("/x-teleport-auth?code=")
        assert (await get(browser, chain, target))[0] == 403  # another browser has not the state
        async with browser.get(
            chain.url(target),
            headers={"Host": GRAFANA, "Cookie": f"__Host-app_state={state}"},
            allow_redirects=False,
        ) as answer:
            assert (answer.status, answer.headers["Location"]) == (302, "/d")
            cookie = answer.cookies["__Host-app_session"]
            assert (cookie["secure"], cookie["httponly"], cookie["samesite"]) == (True, True, "Lax")
            assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert (await get(browser, chain, "/d", f"__Host-app_session={cookie.value}"))[0] == 200
        assert (await get(browser, chain, target, f"__Host-app_state={state}"))[0] == 403  # a code is good once
    started = await chain.auth.list_events("app.session.start")
    assert [(event["user"], event["app_name"], event["code"]) for event in started] == [("alice", "grafana", "T2007I")]


@pytest.mark.parametrize("path", ["//evil.example", "/\\evil.example", "https://evil.example/", "/a\r\nb", "evil"])
async def test_a_launch_leads_nowhere_else(chain: Chain, path: str) -> None:
    await chain.add_agent(Target("grafana", uri="http://127.0.0.1:9"))
    session = await chain.sign_in("alice", "access")
    location = await chain.applications.launch(
        session_id=session, host=GRAFANA, query={"path": path}, remote_addr=BROWSER
    )
    assert location == f"https://{GRAFANA}/"


async def test_signing_out_ends_the_sessions_of_applications(chain: Chain, browser: aiohttp.ClientSession) -> None:
    async with run_app(web.get("/", echo)) as port:
        await chain.add_agent(Target("grafana", uri=f"http://127.0.0.1:{port}"))
        session = await chain.sign_in("alice", "access")
        cookie = await chain.open_app(session, "grafana")
        assert (await get(browser, chain, cookie=cookie))[0] == 200
        await chain.client.call(ops.SESSION_END, p.SessionRequest(session_id=session))
        chain.auth.clock.advance(HALF_A_MINUTE)
        assert (await get(browser, chain, cookie=cookie))[0] == 403
    (ended,) = await chain.auth.list_events("app.session.end")
    assert (ended["user"], ended["app_name"]) == ("alice", "grafana")


async def test_a_session_of_one_application_is_none_of_another(chain: Chain, browser: aiohttp.ClientSession) -> None:
    async with run_app(web.get("/", echo)) as port:
        uri = f"http://127.0.0.1:{port}"
        await chain.add_agent(Target("grafana", uri=uri), Target("wiki", uri=uri))
        cookie = await chain.open_app(await chain.sign_in("alice", "access"), "grafana")
        assert (await get(browser, chain, cookie=cookie, host=f"wiki.{PROXY_HOST}"))[0] == 403


def build_role(name: str, *, allow: dict[str, str], deny: dict[str, str] | None = None) -> Role:
    conditions = [
        RoleConditions(app_labels={key: (value,) for key, value in labels.items()}) for labels in (allow, deny or {})
    ]
    return Role(metadata=Metadata(name=name), spec=RoleSpec(allow=conditions[0], deny=conditions[1]))


async def test_roles_decide_and_deny_wins(chain: Chain, browser: aiohttp.ClientSession) -> None:
    roles = [build_role("dev", allow={"env": "dev"}), build_role("nobody", allow={"env": "*"}, deny={"env": "dev"})]
    chain.auth.roles.replace(roles)
    async with run_app(web.get("/", echo)) as port:
        await chain.add_agent(Target("grafana", uri=f"http://127.0.0.1:{port}"), labels={"env": ["dev"]})
        cookie = await chain.open_app(await chain.sign_in("alice", "dev"), "grafana")
        assert (await get(browser, chain, cookie=cookie))[0] == 200
        with pytest.raises(Exception, match="may not open it"):
            await chain.open_app(await chain.sign_in("bob", "dev", "nobody"), "grafana")


async def test_a_role_that_changes_ends_what_is_open(chain: Chain, browser: aiohttp.ClientSession) -> None:
    chain.auth.roles.replace([build_role("dev", allow={"env": "dev"})])
    async with run_app(web.get("/", echo), web.get("/socket", echo_socket)) as port:
        await chain.add_agent(Target("grafana", uri=f"http://127.0.0.1:{port}"), labels={"env": ["dev"]})
        cookie = await chain.open_app(await chain.sign_in("alice", "dev"), "grafana")
        assert (await get(browser, chain, cookie=cookie))[0] == 200
        async with browser.ws_connect(chain.url("/socket"), headers={"Host": GRAFANA, "Cookie": cookie}) as socket:
            await socket.send_str("hello")
            assert (await socket.receive()).data == "hello"
            chain.auth.roles.replace([build_role("dev", allow={"env": "prod"})])
            chain.auth.clock.advance(HALF_A_MINUTE)
            assert (await get(browser, chain, cookie=cookie))[0] == 403
            assert (await socket.receive()).type in {aiohttp.WSMsgType.CLOSED, aiohttp.WSMsgType.ERROR}


async def test_the_agent_judges_by_itself(chain: Chain, browser: aiohttp.ClientSession) -> None:
    """The proxy goes on as if nothing had changed; the agent does not."""
    chain.auth.roles.replace([build_role("dev", allow={"env": "dev"})])
    async with run_app(web.get("/", echo)) as port:
        agent = await chain.add_agent(Target("grafana", uri=f"http://127.0.0.1:{port}"), labels={"env": ["dev"]})
        cookie = await chain.open_app(await chain.sign_in("alice", "dev"), "grafana")
        assert (await get(browser, chain, cookie=cookie))[0] == 200
        chain.client.is_down = True
        chain.auth.roles.replace([build_role("dev", allow={"env": "prod"})])
        chain.auth.clock.advance(HALF_A_MINUTE)
        status, text = await get(browser, chain, cookie=cookie)
        assert (status, "the agent of this application refuses" in text) == (403, True)
        assert "apps/rules" in agent.client.calls


async def test_auth_may_be_away_for_a_moment(chain: Chain, browser: aiohttp.ClientSession) -> None:
    async with run_app(web.get("/", echo)) as port:
        agent = await chain.add_agent(Target("grafana", uri=f"http://127.0.0.1:{port}"))
        cookie = await chain.open_app(await chain.sign_in("alice", "access"), "grafana")
        assert (await get(browser, chain, cookie=cookie))[0] == 200
        chain.client.is_down = agent.client.is_down = True
        for _ in range(4):
            chain.auth.clock.advance(HALF_A_MINUTE)
            status, _ = await get(browser, chain, cookie=cookie)
        assert status == 502
        chain.client.is_down = agent.client.is_down = False
        assert (await get(browser, chain, cookie=cookie))[0] == 200


async def echo_socket(request: web.Request) -> web.WebSocketResponse:
    socket = web.WebSocketResponse()
    await socket.prepare(request)
    async for message in socket:
        await socket.send_str(message.data)
    return socket


async def test_bodies_are_streamed_both_ways(chain: Chain, browser: aiohttp.ClientSession) -> None:
    size = 8 * 1024 * 1024

    async def download(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(size // 65536):
            await answer.write(b"x" * 65536)
        return answer

    async with run_app(web.post("/upload", echo), web.get("/download", download)) as port:
        await chain.add_agent(Target("grafana", uri=f"http://127.0.0.1:{port}"))
        cookie = await chain.open_app(await chain.sign_in("alice", "access"), "grafana")
        headers = {"Host": GRAFANA, "Cookie": cookie}
        async with browser.post(chain.url("/upload"), data=io.BytesIO(b"y" * size), headers=headers) as answer:
            assert (await answer.json())["size"] == size
        async with browser.get(chain.url("/download"), headers=headers) as answer:
            assert len(await answer.read()) == size


async def test_events_arrive_one_by_one(chain: Chain, browser: aiohttp.ClientSession) -> None:
    go_on = asyncio.Event()

    async def events(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await answer.prepare(request)
        await answer.write(b"data: 1\n\n")
        await go_on.wait()
        await answer.write(b"data: 2\n\n")
        return answer

    async with run_app(web.get("/events", events)) as port:
        await chain.add_agent(Target("grafana", uri=f"http://127.0.0.1:{port}"))
        cookie = await chain.open_app(await chain.sign_in("alice", "access"), "grafana")
        async with browser.get(chain.url("/events"), headers={"Host": GRAFANA, "Cookie": cookie}) as answer:
            assert await answer.content.readuntil(b"\n\n") == b"data: 1\n\n"
            go_on.set()
            assert await answer.content.readuntil(b"\n\n") == b"data: 2\n\n"


async def test_redirects_to_the_application_lead_to_its_public_host(
    chain: Chain, browser: aiohttp.ClientSession
) -> None:
    async def redirect(request: web.Request) -> web.Response:
        return web.Response(status=302, headers={"Location": request.query["to"]})

    async with run_app(web.get("/", redirect)) as port:
        await chain.add_agent(
            Target("grafana", uri=f"http://127.0.0.1:{port}", rewrite=Rewrite(redirect=("internal.example",)))
        )
        cookie = await chain.open_app(await chain.sign_in("alice", "access"), "grafana")
        for to, leads in {
            f"http://127.0.0.1:{port}/a": f"https://{GRAFANA}/a",
            "http://internal.example/b": f"https://{GRAFANA}/b",
            "https://elsewhere.example/c": "https://elsewhere.example/c",
            "/d": "/d",
        }.items():
            headers = {"Host": GRAFANA, "Cookie": cookie}
            async with browser.get(chain.url(f"/?to={to}"), headers=headers, allow_redirects=False) as answer:
                assert answer.headers["Location"] == leads


async def test_an_application_is_told_what_its_configuration_says(chain: Chain, browser: aiohttp.ClientSession) -> None:
    rewrite = Rewrite(
        headers=(
            ("Authorization", "Bearer {{internal.jwt}}"),
            ("X-Team", "{{external.team}}"),
            ("X-Missing", "{{external.missing}}"),
            ("Host", "internal.example"),
        ),
        jwt_claims="none",
    )
    async with run_app(web.get("/", echo)) as port:
        await chain.add_agent(Target("grafana", uri=f"http://127.0.0.1:{port}", rewrite=rewrite))
        session = await chain.sign_in("alice", "access", team=["blue", "red"])
        _, text = await get(browser, chain, cookie=await chain.open_app(session, "grafana"), **{"X-Team": "forged"})
    headers = json.loads(text)["headers"]
    by_name = dict(headers)
    assert [value for name, value in headers if name == "X-Team"] == ["blue", "red"]
    assert "X-Missing" not in by_name
    assert by_name["Host"] == "internal.example"
    assert by_name["Authorization"] == "Bearer " + by_name["Teleport-Jwt-Assertion"]
    keys = build_key_set(chain.auth.authority.trust_bundle.jwt[AuthorityType.JWT])
    told = verify_assertion(
        by_name["Teleport-Jwt-Assertion"],
        keys,
        issuer="example.com",
        audience=f"http://127.0.0.1:{port}",
        now=chain.auth.clock.now(),
    )
    assert (told.user, told.roles, told.traits) == ("alice", (), {})


async def test_the_next_agent_is_tried_where_one_cannot_reach_the_application(chain: Chain) -> None:
    async with run_app(web.get("/", echo)) as port:
        for uri in (f"http://127.0.0.1:{port}", "http://127.0.0.1:9"):
            await chain.add_agent(Target("grafana", uri=uri))
        cookie = await chain.open_app(await chain.sign_in("alice", "access"), "grafana")
        for _ in range(8):
            async with aiohttp.ClientSession() as fresh:
                assert (await get(fresh, chain, cookie=cookie))[0] == 200


async def test_one_of_two_agents_is_killed(chain: Chain, browser: aiohttp.ClientSession) -> None:
    async with run_app(web.get("/", echo)) as port:
        agents = [await chain.add_agent(Target("grafana", uri=f"http://127.0.0.1:{port}")) for _ in range(2)]
        cookie = await chain.open_app(await chain.sign_in("alice", "access"), "grafana")
        assert (await get(browser, chain, cookie=cookie))[0] == 200
        agents[0].agent_end.abort()
        await agents[0].proxy_end.closed()
        for _ in range(8):
            async with aiohttp.ClientSession() as fresh:
                assert (await get(fresh, chain, cookie=cookie))[0] == 200
        agents[1].agent_end.abort()
        await agents[1].proxy_end.closed()
        async with aiohttp.ClientSession() as fresh:
            status, text = await get(fresh, chain, cookie=cookie)
        assert (status, "no agent that serves this application is connected" in text) == (502, True)
