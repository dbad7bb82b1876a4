"""The way of a request through proxy, tunnel and agent to an application, over real sockets in one process.

Auth is the real one without a network. The door and its TLS are left out: a client's connection is the application
host's from its first byte.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest
from aiohttp import web

from support.auth import ADMIN, InProcessAuth, build_host
from teleport.agent.apps.serving import serve_applications
from teleport.api import operations as ops
from teleport.api import people as p
from teleport.api.client import Client
from teleport.api.identity import Identity
from teleport.api.messages import HeartbeatRequest, TrustBundle
from teleport.api.operations import Operation
from teleport.auth.access import Caller, authorize
from teleport.config.settings import ProxySettings, Settings, Target
from teleport.errors import ConnectionFailed
from teleport.pki.totp import compute_code, find_step
from teleport.proxy.applications.directory import PAUSE
from teleport.proxy.applications.launching import SESSION_COOKIE, make_state
from teleport.proxy.applications.parts import Applications, open_applications
from teleport.resources.address import Address
from teleport.resources.role import SystemRole
from teleport.tunnel.preface import PrefaceProtocol
from teleport.tunnel.session import Session
from teleport.web.call import Peer
from teleport.web.limits import RateLimiter

HOST = "127.0.0.1"
PROXY_HOST = "proxy.example.com"
PROXY_ID = "f0000000-0000-4000-8000-000000000001"
BROWSER = "203.0.113.9"


@dataclass(slots=True)
class AuthClient:
    """A client that reaches an auth server in the same process, as one host; `is_down` cuts it off."""

    auth: InProcessAuth
    caller: Caller
    is_down: bool = False
    calls: list[str] = field(default_factory=list)

    async def call(self, operation: Operation[Any, Any], request: Any) -> Any:
        """Ask for an operation."""
        self.calls.append(operation.name)
        if self.is_down:
            raise ConnectionFailed("auth does not answer")
        assert operation.kind is not None
        authorize(self.caller, operation.verb, operation.kind)
        return await self.auth.people.table[operation](request, self.caller)


@dataclass(slots=True)
class MemberHost:
    """A joined process as its services see it."""

    auth: InProcessAuth
    client: Any
    host_id: str

    @property
    def cluster_name(self) -> str:
        """Return the cluster's name."""
        return self.auth.authority.cluster_name

    @property
    def trust(self) -> TrustBundle:
        """Return what the cluster trusts."""
        return self.auth.authority.trust_bundle

    def identity(self, role: SystemRole) -> Identity:
        """Refuse: nothing here shows one."""
        raise NotImplementedError(role)

    async def wait_for_change(self) -> None:
        """Wait for what does not happen."""
        await asyncio.Event().wait()


@dataclass(slots=True)
class Agent:
    """An agent with its tunnel."""

    host_id: str
    client: AuthClient
    proxy_end: Session
    agent_end: Session


class Chain:
    """A proxy, and as many agents as are added."""

    def __init__(self, auth: InProcessAuth, stack: AsyncExitStack) -> None:
        self.auth = auth
        self._stack = stack
        self.tunnels: dict[str, Session] = {}
        self.client = AuthClient(auth, build_host(SystemRole.PROXY, host_id=PROXY_ID))
        self.applications: Applications
        self.port = 0
        self.certificate: bytes | None = None
        """What clients show, in DER."""

    async def start(self, **proxy_settings: Any) -> None:
        """Open the proxy's side."""
        proxy = ProxySettings(public_addrs=(Address(PROXY_HOST, 443),), **proxy_settings)
        settings = Settings(nodename="front", data_dir=Path("/nonexistent"), proxy=proxy)
        client = cast("Client", self.client)
        clock = self.auth.clock
        limiter = RateLimiter(settings.connection_limits.anonymous_requests, clock)
        opening = open_applications(
            settings,
            client=client,
            find_tunnel=self.tunnels.get,
            limiter=limiter,
            clock=clock,
            on_crash=pytest.fail,
        )
        self.applications = await self._stack.enter_async_context(opening)
        await asyncio.sleep(0)  # the directory has begun to ask
        find_host = self.applications.offer().find_host
        assert find_host is not None

        def accept() -> asyncio.Protocol:
            service = find_host(f"any.{PROXY_HOST}")
            assert service is not None
            return service.connect(Peer(BROWSER, self.certificate), lambda: None)

        server = await asyncio.get_running_loop().create_server(accept, HOST, 0)
        self._stack.callback(server.close)
        self.port = server.sockets[0].getsockname()[1]

    async def add_agent(self, *apps: Target, labels: dict[str, list[str]] | None = None) -> Agent:
        """Add an agent that serves applications, with the labels that auth gives it."""
        host_id = f"a0000000-0000-4000-8000-{len(self.tunnels):012d}"
        await self._declare(host_id, apps, labels or {})
        client = AuthClient(self.auth, build_host(SystemRole.APP, host_id=host_id))
        serving = serve_applications(apps, clock=self.auth.clock)
        handlers = await self._stack.enter_async_context(serving(MemberHost(self.auth, client, host_id)))
        proxy_end = Session(is_dialer=False)
        server = await asyncio.get_running_loop().create_server(lambda: proxy_end, HOST, 0)
        port = server.sockets[0].getsockname()[1]

        def accept(_: Any) -> asyncio.Protocol:
            return PrefaceProtocol(lambda document, stream: handlers[document["to"]](document, stream))

        _, agent_end = await asyncio.get_running_loop().create_connection(
            lambda: Session(is_dialer=True, accept=accept), HOST, port
        )
        server.close()
        self._stack.callback(agent_end.abort)
        self._stack.callback(proxy_end.abort)
        self.tunnels[host_id] = proxy_end
        self.auth.clock.advance(PAUSE)  # the proxy may ask again what there is
        return Agent(host_id, client, proxy_end, agent_end)

    async def sign_in(self, user: str, *roles: str, **traits: Any) -> str:
        """Make a user with a web session, and return the session's id."""
        table = self.auth.people.table
        invite = p.UserInviteRequest(user=user, roles=roles, traits={key: tuple(each) for key, each in traits.items()})
        invite_id = (await table[ops.USER_INVITE](invite, ADMIN)).url.rpartition("/")[2]
        shown = await table[ops.INVITE_SHOW](p.InviteShowRequest(invite_id=invite_id), self.client.caller)
        code = compute_code(shown.totp_secret, find_step(self.auth.clock.now()))
        accept = p.InviteAcceptRequest(invite_id=invite_id, password="correct horse battery", code=code)
        return str((await table[ops.INVITE_ACCEPT](accept, self.client.caller)).session_id)

    async def open_app(self, web_session: str, app: str) -> str:
        """Begin an application session as a browser does, and return its cookie."""
        state = make_state()
        launch = p.AppLaunchRequest(session_id=web_session, app=app, state=state)
        code = (await self.client.call(ops.APP_LAUNCH, launch)).code
        redeem = p.AppRedeemRequest(code=code, state=state, app=app)
        return f"{SESSION_COOKIE}={(await self.client.call(ops.APP_REDEEM, redeem)).app_session_id}"

    def url(self, path: str = "/") -> str:
        """Return where the chain begins."""
        return f"http://{HOST}:{self.port}{path}"

    async def _declare(self, host_id: str, apps: tuple[Target, ...], labels: dict[str, list[str]]) -> None:
        records = [
            {
                "kind": "app_server",
                "version": "v2",
                "metadata": {"name": app.name, "labels": dict(app.labels)},
                "spec": {"uri": app.uri, "public_addr": app.public_addr},
            }
            for app in apps
        ]
        caller = build_host(SystemRole.APP, host_id=host_id)
        await self.auth.heartbeats.announce(
            HeartbeatRequest(hostname="agent", version="1.0.0", servers=records), caller
        )
        if labels:
            await self.auth.stores.backend.commit([], [self.auth.stores.host_labels.build_write(host_id, labels)])


@asynccontextmanager
async def open_chain(auth: InProcessAuth, **proxy_settings: Any) -> AsyncIterator[Chain]:
    """Run a proxy's applications for the time of a block."""
    async with AsyncExitStack() as stack:
        chain = Chain(auth, stack)
        await chain.start(**proxy_settings)
        yield chain


@asynccontextmanager
async def run_app(*routes: web.AbstractRouteDef) -> AsyncIterator[int]:
    """Run an application on a port of this machine for the time of a block."""
    app = web.Application(client_max_size=0)
    app.add_routes(routes)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, HOST, 0)
    await site.start()
    try:
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
