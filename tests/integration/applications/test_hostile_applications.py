"""Hostile requests and hostile agents, through the whole chain."""

import asyncio
import json
import socket

import aiohttp
import pytest
from aiohttp import web

from support.app_chain import HOST, PROXY_HOST, Chain, run_app
from teleport.config.settings import Target
from teleport.resources.access_role import Role, RoleConditions, RoleSpec
from teleport.resources.model import Metadata

GRAFANA = f"grafana.{PROXY_HOST}"


async def tell(request: web.Request) -> web.Response:
    return web.json_response({"path": request.raw_path, "headers": list(request.headers.items())})


async def ask(chain: Chain, *lines: str, body: bytes = b"") -> bytes:
    """Send one request as it stands, and return all that comes back until the connection is closed."""
    reader, writer = await asyncio.open_connection(HOST, chain.port)
    writer.write("\r\n".join([*lines, "Connection: close", "", ""]).encode("latin-1") + body)
    writer.write_eof()  # so that nobody lingers for what else may come
    answer = await reader.read()
    writer.close()
    return answer


@pytest.mark.parametrize("path", ["/%2e%2e/etc/passwd", "/..%2f..%2fetc", "/a//b", "/a;b=c?d=%00"])
async def test_hostile_68_a_path_is_passed_on_as_it_is_and_decoded_by_nobody(chain: Chain, path: str) -> None:
    async with run_app(web.get("/{tail:.*}", tell)) as port:
        await chain.add_agent(Target("grafana", uri=f"http://{HOST}:{port}"))
        cookie = await chain.open_app(await chain.sign_in("alice", "access"), "grafana")
        answer = await ask(chain, f"GET {path} HTTP/1.1", f"Host: {GRAFANA}", f"Cookie: {cookie}")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["path"] == path


async def test_hostile_68_forged_identity_is_taken_away_and_set_anew(chain: Chain) -> None:
    forged = (
        "Teleport-Jwt-Assertion: forged",
        "teleport_jwt_assertion: forged",
        "X-Teleport-Username: root",
        "X-Forwarded-For: forged",
        "X-Forwarded-Host: forged",
        "X_Forwarded_For: forged",
        "X-Real-IP: forged",
        "Forwarded: for=forged",
        "Proxy: forged",
        "Keep-Alive: forged",
    )
    async with run_app(web.get("/", tell)) as port:
        await chain.add_agent(Target("grafana", uri=f"http://{HOST}:{port}"))
        cookie = await chain.open_app(await chain.sign_in("alice", "access"), "grafana")
        answer = await ask(chain, "GET / HTTP/1.1", f"Host: {GRAFANA}", f"Cookie: {cookie}", *forged)
    headers = json.loads(answer.partition(b"\r\n\r\n")[2])["headers"]
    assert "forged" not in str(headers)
    assert [name for name, _ in headers].count("Teleport-Jwt-Assertion") == 1
    assert "app_session" not in str(headers)


async def test_hostile_68_another_host_on_the_same_connection_is_not_answered(chain: Chain) -> None:
    async with run_app(web.get("/", tell)) as port:
        uri = f"http://{HOST}:{port}"
        await chain.add_agent(Target("grafana", uri=uri), Target("wiki", uri=uri))
        cookie = await chain.open_app(await chain.sign_in("alice", "access"), "grafana")
        first = f"GET / HTTP/1.1\r\nHost: {GRAFANA}\r\nCookie: {cookie}\r\n\r\n"
        answer = await ask(chain, first + f"GET / HTTP/1.1\r\nHost: wiki.{PROXY_HOST}\r\nCookie: {cookie}")
    assert answer.count(b"HTTP/1.1 200") == 1
    assert answer.count(b"HTTP/1.1 421") == 1


@pytest.mark.parametrize(
    "lines",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Transfer-Encoding: chunked, identity",),
        ("Transfer-Encoding : chunked",),
        ("Host: other.example",),
    ],
)
async def test_hostile_68_what_could_be_read_in_two_ways_reaches_no_application(
    chain: Chain, lines: tuple[str, ...]
) -> None:
    asked: list[str] = []

    async def note(request: web.Request) -> web.Response:
        asked.append(request.raw_path)
        return web.Response()

    async with run_app(web.route("*", "/{tail:.*}", note)) as port:
        await chain.add_agent(Target("grafana", uri=f"http://{HOST}:{port}"))
        cookie = await chain.open_app(await chain.sign_in("alice", "access"), "grafana")
        answer = await ask(
            chain, "POST /a HTTP/1.1", f"Host: {GRAFANA}", f"Cookie: {cookie}", *lines, body=b"0\r\n\r\nGET /b HTTP/1.1"
        )
    assert answer.startswith(b"HTTP/1.1 400")
    assert asked == []


@pytest.mark.parametrize(
    "uri",
    ["http://metadata.google.internal", "http://instance-data/"],
)
async def test_hostile_68_a_clouds_metadata_is_no_application(chain: Chain, uri: str) -> None:
    await chain.add_agent(Target("grafana", uri=uri))
    cookie = await chain.open_app(await chain.sign_in("alice", "access"), "grafana")
    answer = await ask(chain, "GET / HTTP/1.1", f"Host: {GRAFANA}", f"Cookie: {cookie}")
    assert answer.startswith(b"HTTP/1.1 502")


@pytest.mark.parametrize("address", ["169.254.169.254", "::ffff:169.254.169.254", "fd00:ec2::254", "0.0.0.0"])
async def test_hostile_68_a_name_that_leads_to_metadata_is_not_connected_to(
    chain: Chain, address: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = asyncio.get_running_loop()
    resolve = loop.getaddrinfo
    connected: list[object] = []

    async def lie(host: object, port: object, **how: object) -> object:
        if host == "app.internal":
            family = socket.AF_INET6 if ":" in address else socket.AF_INET
            return [(family, socket.SOCK_STREAM, 6, "", (address, port))]
        connected.append(host)
        return await resolve(host, port, **how)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(loop, "getaddrinfo", lie)
    await chain.add_agent(Target("grafana", uri="http://app.internal"))
    cookie = await chain.open_app(await chain.sign_in("alice", "access"), "grafana")
    answer = await ask(chain, "GET / HTTP/1.1", f"Host: {GRAFANA}", f"Cookie: {cookie}")
    assert answer.startswith(b"HTTP/1.1 502")
    assert b"request_id" in answer
    assert address not in connected


async def test_hostile_68_an_application_that_is_down_is_502_with_a_request_id(
    chain: Chain, caplog: pytest.LogCaptureFixture
) -> None:
    await chain.add_agent(Target("grafana", uri="http://127.0.0.1:9"))
    cookie = await chain.open_app(await chain.sign_in("alice", "access"), "grafana")
    answer = await ask(chain, "GET / HTTP/1.1", f"Host: {GRAFANA}", f"Cookie: {cookie}")
    assert answer.startswith(b"HTTP/1.1 502")
    request_id = json.loads(answer.partition(b"\r\n\r\n")[2])["error"]["request_id"]
    assert any(request_id in message and "the agent cannot reach" in message for message in caplog.messages)
    assert cookie.partition("=")[2] not in caplog.text


async def test_hostile_68_a_reader_who_reads_nothing_holds_the_application_back(chain: Chain) -> None:
    """What is under way stays within the windows and buffers of the way, however much there is to come."""
    sent = 0

    async def pour(request: web.Request) -> web.StreamResponse:
        nonlocal sent
        answer = web.StreamResponse()
        await answer.prepare(request)
        for _ in range(1024):
            await answer.write(b"x" * 65536)
            sent += 65536
        return answer

    async with run_app(web.get("/", pour)) as port:
        await chain.add_agent(Target("grafana", uri=f"http://{HOST}:{port}"))
        cookie = await chain.open_app(await chain.sign_in("alice", "access"), "grafana")
        reader, writer = await asyncio.open_connection(HOST, chain.port, limit=4096)
        writer.write(f"GET / HTTP/1.1\r\nHost: {GRAFANA}\r\nCookie: {cookie}\r\n\r\n".encode())
        await reader.readline()
        before = -1
        while before != sent:
            before = sent
            await asyncio.sleep(0.3)
        assert 0 < sent < 32 * 1024 * 1024
        writer.close()


async def test_hostile_69_labels_that_an_agent_gives_itself_open_nothing(
    chain: Chain, browser: aiohttp.ClientSession
) -> None:
    dev = Role(metadata=Metadata(name="dev"), spec=RoleSpec(allow=RoleConditions(app_labels={"env": ("dev",)})))
    chain.auth.roles.replace([dev])
    async with run_app(web.get("/", tell)) as port:
        app = Target("grafana", uri=f"http://{HOST}:{port}", labels={"env": "dev"})
        await chain.add_agent(app, labels={"env": ["prod"]})
        session = await chain.sign_in("alice", "dev")
        with pytest.raises(Exception, match="may not open it"):
            await chain.open_app(session, "grafana")
        good = Target("wiki", uri=f"http://{HOST}:{port}")
        await chain.add_agent(good, labels={"env": ["dev"]})
        cookie = await chain.open_app(session, "wiki")
        headers = {"Host": f"wiki.{PROXY_HOST}", "Cookie": cookie}
        async with browser.get(chain.url(), headers=headers) as answer:
            assert answer.status == 200


async def test_hostile_69_an_agent_gets_no_host_that_is_the_proxys(chain: Chain) -> None:
    for host in (PROXY_HOST, "front", "localhost", "teleport.cluster.local", "192.0.2.1"):
        await chain.add_agent(Target("evil", uri="http://127.0.0.1:9", public_addr=host))
    find_host = chain.applications.offer().find_host
    assert find_host is not None
    assert find_host(f"evil.{PROXY_HOST}") is not None
    for host in (PROXY_HOST, "front", "localhost", "teleport.cluster.local", "192.0.2.1"):
        assert find_host(host) is None
