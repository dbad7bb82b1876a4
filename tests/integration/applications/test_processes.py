"""Applications behind real processes: auth, two proxies, agents, and an application that verifies who its users are."""

import asyncio
import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from support.balancer import Balancer
from support.cluster import Agent, AuthServer
from support.processes import HOST, Processes, wait_until
from support.proxy import Proxy, build_credulous_context, read_all
from support.strangers import Stranger
from teleport.api import operations as ops
from teleport.api import people as p
from teleport.api.identity import Identity, load_identity
from teleport.errors import AccessDenied
from teleport.pki.assertion import verify_assertion
from teleport.pki.jwks import parse_jwks
from teleport.pki.totp import SKEW_STEPS, compute_code, find_step
from teleport.tunnel.websocket import WebSocketClient

FRONT = "front.example.com"
SIZE = 20 * 1024 * 1024
PASSWORD = "correct horse battery"
ROLE = """
kind: role
version: v7
metadata: {{name: {name}}}
spec: {{allow: {{app_labels: {{env: [{env}]}}}}, deny: {{app_labels: {{secret: ['*']}}}}}}
"""


class App(BaseHTTPRequestHandler):
    """Tells what it got, counts what is uploaded, sends what is asked for."""

    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/download":
            self._answer(b"x" * SIZE)
        else:
            self._answer(json.dumps({"path": self.path, "headers": dict(self.headers.items())}).encode())

    def do_POST(self) -> None:
        left = int(self.headers["Content-Length"])
        while left:
            left -= len(self.rfile.read(min(left, 65536)))
        self._answer(self.headers["Content-Length"].encode())

    def _answer(self, body: bytes) -> None:
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: Any) -> None:
        """Say nothing."""


@contextmanager
def run_app() -> Iterator[str]:
    server = ThreadingHTTPServer((HOST, 0), App)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"http://{HOST}:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: Mapping[str, str]
    cookies: Mapping[str, str]
    body: bytes


def ask(
    proxy: Proxy, host: str, path: str = "/", *lines: str, body: bytes = b"", identity: Identity | None = None
) -> Answer:
    """Send one request to an application, as a browser with a cookie or as a program with a certificate."""
    context = build_credulous_context()
    if identity is not None:
        folder = proxy.folder / "client"
        folder.mkdir(exist_ok=True)
        (folder / "pair.pem").write_text(identity.tls_key + identity.tls_certificate)
        context.load_cert_chain(folder / "pair.pem")
    method = "POST" if body else "GET"
    head = [f"{method} {path} HTTP/1.1", f"Host: {host}", "Connection: close", *lines]
    if body:
        head.append(f"Content-Length: {len(body)}")
    with proxy.connect(name=host, context=context) as connection:
        connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
        raw = read_all(connection)
    before, _, after = raw.partition(b"\r\n\r\n")
    first, *lines_of_head = before.decode().split("\r\n")
    fields = [line.split(": ", 1) for line in lines_of_head]
    cookies = [value.partition(";")[0].split("=", 1) for name, value in fields if name == "Set-Cookie"]
    return Answer(int(first.split()[1]), dict(fields), dict(cookies), after)


def wait_for(status: int, proxy: Proxy, host: str, *lines: str, identity: Identity | None = None) -> None:
    """Wait until requests are answered so."""
    wait_until(lambda: ask(proxy, host, "/", *lines, identity=identity).status == status, f"{host} answers {status}")


class Stage:
    """An auth server, two proxies behind a balancer, and what users need."""

    def __init__(self, auth: AuthServer, processes: Processes, folder: Path) -> None:
        self.auth = auth
        self.processes = processes
        self.folder = folder
        settings = {"public_addr": f"{FRONT}:443"}
        self.proxies = [Proxy(processes, folder / name, auth, settings).start() for name in ("one", "two")]
        self.balancer = Balancer(processes, folder / "balancer").use([proxy.address for proxy in self.proxies])
        auth.tctl("create", stdin=ROLE.format(name="dev", env="dev"))
        stranger = Stranger(auth.address, auth.admin.host_ca_certificates)
        self.proxy_identity = stranger.identity(asyncio.run(stranger.join(auth.add_token("proxy"))))

    def start_agent(self, name: str, uri: str, *, app: str = "grafana", given: Any = None, **fields: Any) -> Agent:
        agent = Agent(self.processes, self.folder / name, self.auth.address, roles="app")
        token = self.auth.add_token("app", **({"suggested_labels": given} if given else {}))
        config = agent.configure(
            teleport={"nodename": name},
            auth_service={"enabled": "no"},
            ssh_service={"enabled": "no"},
            proxy_service={"enabled": "no"},
            app_service={"enabled": "yes", "apps": [{"name": app, "uri": uri, **fields}]},
        )
        agent.flags = (f"--token={token}", f"--ca-pin={self.auth.get_pin()}", f"--config={config}")
        agent.process.environment["TELEPORT_TUNNEL_PUBLIC_ADDR"] = str(self.balancer.address)
        agent.start().wait_until_ready()
        return agent

    def sign_in(self, user: str, *roles: str) -> str:
        """Make a user and return their web session."""
        url = json.loads(self.auth.tctl("users", "add", user, f"--roles={','.join(roles)}", "--format=json"))[0]["url"]
        invite_id = url.rpartition("/")[2]
        shown = self.auth.ask(ops.INVITE_SHOW, p.InviteShowRequest(invite_id=invite_id), self.proxy_identity)
        code = compute_code(shown.totp_secret, find_step(datetime.now(UTC)) - SKEW_STEPS)
        accept = p.InviteAcceptRequest(invite_id=invite_id, password=PASSWORD, code=code)
        return self.auth.ask(ops.INVITE_ACCEPT, accept, self.proxy_identity).session_id

    def open_app(self, web_session: str, app: str) -> str:
        """Go the way of a browser, and return the cookie."""
        host = f"{app}.{FRONT}"
        for proxy in self.proxies:
            wait_for(302, proxy, host, "Accept: text/html")
        sent = ask(self.proxies[0], host, "/d", "Accept: text/html")
        state = sent.cookies["__Host-app_state"]
        assert sent.headers["Location"] == f"https://{FRONT}/web/launch/{host}?path=%2Fd&state={state}"
        launch = p.AppLaunchRequest(session_id=web_session, app=app, state=state)
        code = self.auth.ask(ops.APP_LAUNCH, launch, self.proxy_identity).code
        path = f"/x-teleport-auth?code={code}&state={state}&path=/d"
        # Behind a balancer it may be another proxy that takes the code.
        taken = ask(self.proxies[1], host, path, f"Cookie: __Host-app_state={state}")
        assert (taken.status, taken.headers["Location"]) == (302, "/d")
        assert ask(self.proxies[0], host, path, f"Cookie: __Host-app_state={state}").status == 403
        return f"Cookie: __Host-app_session={taken.cookies['__Host-app_session']}"


@pytest.fixture(scope="module")
def stage(auth: AuthServer, shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> Stage:
    return Stage(auth, shared_processes, tmp_path_factory.mktemp("stage"))


@pytest.fixture(scope="module")
def uri() -> Iterator[str]:
    with run_app() as uri:
        yield uri


def test_a_user_opens_an_application_behind_either_proxy(stage: Stage, uri: str) -> None:
    stage.start_agent("first", uri, given={"env": ["dev"]})
    cookie = stage.open_app(stage.sign_in("alice", "dev"), "grafana")
    for proxy in stage.proxies:
        wait_for(200, proxy, f"grafana.{FRONT}", cookie)
        told = json.loads(ask(proxy, f"grafana.{FRONT}", "/d?x=%2e", cookie).body)
        assert told["path"] == "/d?x=%2e"
        keys = parse_jwks(proxy.get("/.well-known/jwks.json")[1])
        assertion = verify_assertion(
            told["headers"]["Teleport-Jwt-Assertion"], keys, issuer="example.com", audience=uri, now=datetime.now(UTC)
        )
        assert (assertion.user, assertion.roles) == ("alice", ("dev",))
        assert len(ask(proxy, f"grafana.{FRONT}", "/download", cookie).body) == SIZE
        assert ask(proxy, f"grafana.{FRONT}", "/upload", cookie, body=b"y" * SIZE).body == str(SIZE).encode()


def test_who_has_not_the_role_does_not_get_in(stage: Stage, uri: str) -> None:
    stage.start_agent("second", uri, app="wiki", given={"env": ["prod"]}, labels={"env": "dev"})
    stage.auth.wait_for_record("second", "app_server")
    session = stage.sign_in("bob", "dev")
    request = p.AppLaunchRequest(session_id=session, app="wiki", state="s")
    with pytest.raises(AccessDenied, match="may not open it"):
        stage.auth.ask(ops.APP_LAUNCH, request, stage.proxy_identity)
    wait_until(
        lambda: any(
            (event["user"], event["app_name"], event["success"]) == ("bob", "wiki", False)
            for event in stage.auth.read_audit("app.session.start")
        ),
        "the audit log tells of it",
    )


def test_a_certificate_opens_what_its_user_may_open(stage: Stage, uri: str, tmp_path: Path) -> None:
    stage.start_agent("third", uri, app="board", given={"env": ["dev"]})
    host = f"board.{FRONT}"
    for name, roles, status in (("carol", "access", 200), ("dave", "auditor", 403)):
        path = tmp_path / f"{name}.identity"
        stage.auth.tctl("users", "add", name, f"--roles={roles}")
        stage.auth.tctl("auth", "sign", f"--user={name}", f"--roles={roles}", f"--out={path}")
        identity = load_identity(path)
        wait_for(status, stage.proxies[0], host, identity=identity)
    assert ask(stage.proxies[0], host).status == 403


def test_a_role_that_is_taken_away_ends_the_session(stage: Stage, uri: str) -> None:
    stage.start_agent("fourth", uri, app="logs", given={"env": ["dev"]})
    stage.auth.tctl("create", stdin=ROLE.format(name="reader", env="dev"))
    cookie = stage.open_app(stage.sign_in("erin", "reader"), "logs")
    host = f"logs.{FRONT}"
    wait_for(200, stage.proxies[0], host, cookie)
    stage.auth.tctl("users", "update", "erin", "--set-roles=auditor")
    wait_for(403, stage.proxies[0], host, cookie)


def test_one_of_two_agents_is_killed_and_the_other_one_serves(stage: Stage, uri: str) -> None:
    agents = [stage.start_agent(name, uri, app="twice", given={"env": ["dev"]}) for name in ("fifth", "sixth")]
    cookie = stage.open_app(stage.sign_in("frank", "dev"), "twice")
    host = f"twice.{FRONT}"
    wait_for(200, stage.proxies[0], host, cookie)
    agents[0].process.kill()
    assert {ask(stage.proxies[0], host, "/", cookie).status for _ in range(8)} == {200}
    agents[1].process.kill()
    wait_for(502, stage.proxies[0], host, cookie)
    assert b"no agent" in ask(stage.proxies[0], host, "/", cookie).body


def test_an_application_that_is_down_is_502_with_a_request_id(stage: Stage) -> None:
    stage.start_agent("seventh", "http://127.0.0.1:9", app="down", given={"env": ["dev"]})
    cookie = stage.open_app(stage.sign_in("grace", "dev"), "down")
    proxy = stage.proxies[0]
    wait_until(lambda: b"request_id" in ask(proxy, f"down.{FRONT}", "/", cookie).body, "the way is there")
    answer = ask(proxy, f"down.{FRONT}", "/", cookie)
    assert answer.status == 502
    assert json.loads(answer.body)["error"]["request_id"] in (proxy.folder / "proxy.log").read_text()


def test_hostile_68_the_proxys_own_pages_are_not_an_applications(stage: Stage, uri: str) -> None:
    stage.start_agent("eighth", uri, app="evil", public_addr=FRONT)
    stage.auth.wait_for_record("eighth", "app_server")
    answer = ask(stage.proxies[0], FRONT, "/webapi/find")
    assert json.loads(answer.body)["cluster_name"] == "example.com"


def test_a_proxy_serves_applications_of_its_own_process(
    auth: AuthServer, processes: Processes, tmp_path: Path, uri: str
) -> None:
    proxy = Proxy(
        processes,
        tmp_path / "both",
        auth,
        {"public_addr": "both.example.com:443"},
        roles="proxy,app",
        sections={"app_service": {"enabled": "yes", "apps": [{"name": "own", "uri": uri}]}},
    ).start()
    path = tmp_path / "henry.identity"
    auth.tctl("users", "add", "henry", "--roles=access")
    auth.tctl("auth", "sign", "--user=henry", "--roles=access", f"--out={path}")
    wait_for(200, proxy, "own.both.example.com", identity=load_identity(path))


async def test_bytes_of_a_tcp_application_travel_in_a_websocket(stage: Stage, tmp_path: Path) -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write((await reader.readline()).upper())
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    port = server.sockets[0].getsockname()[1]
    await asyncio.to_thread(stage.start_agent, "ninth", f"tcp://{HOST}:{port}", app="db")
    path = tmp_path / "ivy.identity"
    await asyncio.to_thread(stage.auth.tctl, "users", "add", "ivy", "--roles=access")
    await asyncio.to_thread(stage.auth.tctl, "auth", "sign", "--user=ivy", "--roles=access", f"--out={path}")
    identity = load_identity(path)
    pair = tmp_path / "pair.pem"
    pair.write_text(identity.tls_key + identity.tls_certificate)
    context = build_credulous_context()
    context.load_cert_chain(pair)
    proxy = stage.proxies[0]
    reader = asyncio.StreamReader()
    _, socket = await asyncio.get_running_loop().create_connection(
        lambda: WebSocketClient(
            host=FRONT,
            path="/v1/webapi/connect/app?app=db",
            protocol_factory=lambda: asyncio.StreamReaderProtocol(reader),
        ),
        proxy.address.host,
        proxy.address.port,
        ssl=context,
        server_hostname=FRONT,
    )
    transport = await socket.established()
    transport.write(b"hello\n")
    assert await reader.readline() == b"HELLO\n"
    transport.close()
    server.close()
