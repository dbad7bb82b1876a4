"""What the way to an application costs, as a ratio of nginx's `proxy_pass` to the same application in the same run.

Both end TLS. Ours then finds the user's session, goes through a tunnel to an agent, which verifies who the user is, and
from there to the application: one hop more than nginx. The proxy that is measured has a core of its own; the agent,
auth, the application and the load share the other one. It runs where `nginx` and `wrk` are on the PATH.
"""

import asyncio
import json
import os
import shutil
import socket
import ssl
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from forwarding import APPLICATION, COMMON, FILE_SIZE, LOADS, UPLOAD, measure, run_nginx, show
from harness import (
    BIN,
    LOAD_CORE,
    Section,
    Server,
    auth_server,
    free_port,
    pinned_process,
    progress,
    report,
    wait_for_port,
)
from support.strangers import Stranger
from support.tls_certificates import ThrowawayAuthority
from teleport.api import operations as ops
from teleport.api import people as p
from teleport.api.client import Client, connect
from teleport.api.messages import ListRequest, ResourceRequest
from teleport.pki.totp import compute_code, find_step
from teleport.resources.token import generate_token_name

FRONT = "front.example.com"
APP = "bench"
PATIENCE = 30
SAMPLES = 300
PASSWORD = "correct horse battery"  # noqa: S105 - of a user who lives for a minute
_NGINX = (
    COMMON
    + """
  proxy_http_version 1.1; proxy_set_header Connection ""; proxy_set_header X-Forwarded-For $remote_addr;
  proxy_max_temp_file_size 0; proxy_request_buffering off;
  upstream app {{ server 127.0.0.1:{app}; keepalive 64; }}
  server {{ listen 127.0.0.1:{port} ssl; ssl_certificate {root}/web.crt; ssl_certificate_key {root}/web.key;
    ssl_protocols TLSv1.3; location / {{ proxy_pass http://app; }} }}
}}
"""
)


@dataclass(frozen=True)
class Stage:
    """What runs: the proxy, its port, and the headers of a user."""

    pid: int
    port: int
    headers: tuple[str, ...]


def write_config(root: Path, name: str, server: Server, token: str, sections: Section) -> Path:
    """Write the configuration of a process that joins; every service that it does not name is off."""
    rate = {"period": "1s", "average": 100_000, "burst": 100_000}
    document = {
        "version": "v3",
        "teleport": {
            "nodename": name,
            "data_dir": str(root / name),
            "auth_server": str(server.address),
            "join_params": {"method": "token", "token_name": token},
            "connection_limits": {"rates": [rate]},
        },
        **{service: {"enabled": "no"} for service in ("auth_service", "ssh_service", "proxy_service")},
        **sections,
    }
    path = root / f"{name}.json"
    path.write_text(json.dumps(document), encoding="utf-8")
    return path


async def add_token(server: Server, role: str) -> str:
    """Make a join token."""
    name = generate_token_name()
    token = {"kind": "token", "version": "v2", "metadata": {"name": name}, "spec": {"roles": [role]}}
    async with connect(server.address, server.admin) as client:
        await client.call(ops.RESOURCE_CREATE, ResourceRequest(resource=token))
    return name


async def wait_for_app(client: Client) -> None:
    """Return when the agent has said what it serves."""
    for _ in range(PATIENCE * 10):
        if (await client.call(ops.RESOURCE_LIST, ListRequest(kind="app_server"))).resources:
            return
        await asyncio.sleep(0.1)
    raise SystemExit("the agent does not say what it serves")


async def open_session(server: Server) -> str:
    """Make a user, sign them in, open the application for them, and return the cookie."""
    stranger = Stranger(server.address, server.admin.host_ca_certificates)
    proxy = stranger.identity(await stranger.join(await add_token(server, "Proxy")))
    async with connect(server.address, server.admin) as client:
        await wait_for_app(client)
        invited = await client.call(ops.USER_INVITE, p.UserInviteRequest(user="alice", roles=("access",)))
    invite_id, state = invited.url.rpartition("/")[2], "s" * 43
    async with connect(server.address, proxy) as client:
        shown = await client.call(ops.INVITE_SHOW, p.InviteShowRequest(invite_id=invite_id))
        code = compute_code(shown.totp_secret, find_step(datetime.now(UTC)))
        accept = p.InviteAcceptRequest(invite_id=invite_id, password=PASSWORD, code=code)
        session = (await client.call(ops.INVITE_ACCEPT, accept)).session_id
        launch = p.AppLaunchRequest(session_id=session, app=APP, state=state)
        begun = await client.call(ops.APP_LAUNCH, launch)
        redeem = p.AppRedeemRequest(code=begun.code, state=state, app=APP)
        return (await client.call(ops.APP_REDEEM, redeem)).app_session_id


@contextmanager
def run_stage(root: Path, server: Server, app: int) -> Iterator[Stage]:
    """Run a proxy on its own core, and an agent beside the load, for the time of a block."""
    port = free_port()
    tokens = [asyncio.run(add_token(server, role)) for role in ("Proxy", "App")]
    proxy_service = {
        "enabled": "yes",
        "web_listen_addr": f"127.0.0.1:{port}",
        "public_addr": f"{FRONT}:443",
        "https_keypairs": [{"key_file": f"{root}/web.key", "cert_file": f"{root}/web.crt"}],
    }
    app_service = {"enabled": "yes", "apps": [{"name": APP, "uri": f"http://127.0.0.1:{app}"}]}
    front = write_config(root, "front", server, tokens[0], {"proxy_service": proxy_service})
    agent = write_config(root, "agent", server, tokens[1], {"app_service": app_service})
    start = [str(BIN / "teleport"), "start", "--insecure-skip-ca-pin", "-c"]
    os.environ["TELEPORT_TUNNEL_PUBLIC_ADDR"] = f"127.0.0.1:{port}"
    with ExitStack() as stack:
        proxy = stack.enter_context(pinned_process([*start, str(front)], root / "front.log"))
        wait_for_port(port, proxy, root / "front.log")
        stack.enter_context(pinned_process(["taskset", "-c", str(LOAD_CORE), *start, str(agent)], root / "agent.log"))
        cookie = asyncio.run(open_session(server))
        stage = Stage(proxy.pid, port, (f"Host: {APP}.{FRONT}", f"Cookie: __Host-app_session={cookie}"))
        wait_until_served(stage, root)
        yield stage


def wait_until_served(stage: Stage, root: Path) -> None:
    """Return when the application answers."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        with open_connection(stage.port) as connection:
            if ask(connection, stage.headers).startswith(b"HTTP/1.1 200"):
                return
        time.sleep(0.1)
    logs = [(root / name).read_text(encoding="utf-8")[-2000:] for name in ("front.log", "agent.log")]
    raise SystemExit("the application does not answer:\n" + "\n".join(logs))


@contextmanager
def open_connection(port: int) -> Iterator[ssl.SSLSocket]:
    """Connect as a browser does who believes everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=f"{APP}.{FRONT}") as connection,
    ):
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        yield connection


def ask(connection: ssl.SSLSocket, headers: tuple[str, ...]) -> bytes:
    """Ask for something small, and return the beginning of the answer."""
    connection.sendall("\r\n".join(["GET /small HTTP/1.1", *headers, "", ""]).encode())
    return connection.recv(65536)


def measure_first_byte(port: int, headers: tuple[str, ...]) -> float:
    """Return the median time from a request on a kept connection to its answer, in milliseconds."""
    times = []
    with open_connection(port) as connection:
        for _ in range(SAMPLES):
            begun = time.perf_counter()
            ask(connection, headers)
            times.append(time.perf_counter() - begun)
    return statistics.median(times) * 1000


def main(seconds: int) -> None:
    """Print requests and bytes a second through proxy, tunnel and agent, and through nginx."""
    missing = [name for name in ("nginx", "wrk") if shutil.which(name) is None]
    if missing:
        report("applications", f"{' and '.join(missing)} not installed")
        return
    root = Path(tempfile.mkdtemp(prefix="applications-bench-"))
    leaf = ThrowawayAuthority.create().issue(FRONT)
    (root / "web.key").write_text(leaf.key_pem, encoding="ascii")
    (root / "web.crt").write_text(leaf.certificate_pem, encoding="ascii")
    (root / "file").write_bytes(b"x" * FILE_SIZE)
    script = root / "upload.lua"
    script.write_text(UPLOAD, encoding="ascii")
    app, nginx = free_port(), free_port()
    with (
        auth_server() as server,
        run_nginx(root, "app", APPLICATION.format(root=root, name="app", port=app), LOAD_CORE),
        run_nginx(root, "proxy", _NGINX.format(root=root, name="proxy", port=nginx, app=app)) as theirs,
        run_stage(root, server, app) as ours,
    ):
        for load in LOADS:
            progress(load.name)
            run = partial(measure, load=load, script=script, scheme="https", headers=ours.headers)
            run(ours.pid, ours.port, seconds=1)
            show(
                load,
                run(ours.pid, ours.port, seconds=seconds),
                run(theirs, nginx, seconds=seconds),
                "proxy and tunnel, one core",
            )
        added = measure_first_byte(ours.port, ours.headers) - measure_first_byte(nginx, ours.headers)
        report("time to first byte that is added to nginx's", f"{added:.2f} ms")
    shutil.rmtree(root, ignore_errors=True)


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5)
