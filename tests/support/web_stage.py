"""The proxy's pages over an auth server without a network, and visitors of them."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from support.auth import InProcessAuth, build_host
from support.backend import SteeredBackend
from support.clock import FakeClock
from support.web_server import Rate
from support.web_visitor import Answer, WebVisitor, build_code
from teleport.api.messages import HeartbeatRequest
from teleport.api.operations import USER_INVITE, USER_RESET, Operation, RequestT, ResponseT
from teleport.api.people import AppInfo, UserInviteRequest, UserResetRequest
from teleport.auth.access import Caller, CallerKind
from teleport.errors import NotFound
from teleport.proxy.pages.parts import offer_pages
from teleport.resources.role import SystemRole
from teleport.web.call import Call, Peer, Reply, RequestHead, Route
from teleport.web.errors import build_error_reply
from teleport.web.limits import RateLimiter
from teleport.web.router import Router

BROWSER = "203.0.113.9"
ADMINISTRATOR = Caller(CallerKind.ADMIN, "auth-host", frozenset({"Admin"}), "127.0.0.1")


@dataclass(slots=True)
class FakeLauncher:
    """Lets people into the one application that there is, and remembers whom."""

    host_name: str = ""
    """What every application says that its host name is."""
    launched: list[tuple[str, str, dict[str, str], str]] = field(default_factory=list)

    def locate(self, app: AppInfo) -> str:
        return "" if app.protocol == "TCP" else f"https://{self.find_host_name(app)}:3080"

    def find_host_name(self, app: AppInfo) -> str:
        return self.host_name or f"{app.name}.proxy.example.com"

    async def launch(self, *, session_id: str, host: str, query: Mapping[str, str], remote_addr: str) -> str:
        if host != "grafana.proxy.example.com":
            raise NotFound("there is no such application")
        self.launched.append((session_id, host, dict(query), remote_addr))
        return f"https://{host}:3080/x-teleport-auth?code=once"


@dataclass(slots=True)
class WebStage:
    """The pages; `failure` is what auth answers to everything, if it is set."""

    auth: InProcessAuth
    launcher: FakeLauncher
    router: Router = field(init=False)
    failure: Exception | None = None
    asked: list[str] = field(default_factory=list)
    peer: Peer = field(default_factory=lambda: Peer(BROWSER))

    @classmethod
    async def start(cls, *, burst: int = 1_000_000) -> "WebStage":
        """Return a new cluster with pages; strangers may ask so many times an hour."""
        clock = FakeClock()
        auth = await InProcessAuth.start(clock=clock, backend=SteeredBackend(clock=clock))
        stage = cls(auth, FakeLauncher())
        stage.router = Router(
            routes=offer_pages(stage, cluster_name="example.com", launcher=stage.launcher).routes,
            limiter=RateLimiter(Rate(burst=burst), clock),
            clock=clock,
            body_timeout=timedelta(seconds=5),
        )
        return stage

    async def call(self, operation: Operation[RequestT, ResponseT], request: RequestT) -> ResponseT:
        """Answer as auth does to a proxy."""
        self.asked.append(operation.name)
        if self.failure is not None:
            raise self.failure
        answer: ResponseT = await self.auth.people.table[operation](request, build_host(SystemRole.PROXY))
        return answer

    def visit(self, **cookies: str) -> WebVisitor:
        """Return somebody with a browser that is new, or has cookies."""
        return WebVisitor(self.send, cookies=dict(cookies))

    async def send(self, method: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Carry a request to the router as a connection does."""
        head = RequestHead(method, target, dict(headers))
        try:
            route = self.router.admit(head, self.peer)
            assert isinstance(route, Route)
            reply = await self.router.answer(route, Call(self.peer, body, head))
        except Exception as error:  # noqa: BLE001 - as at the border
            reply = build_error_reply(error)
        return _read(reply)

    async def invite(self, user: str = "alice", *roles: str) -> str:
        """Invite somebody and return the path of the link."""
        request = UserInviteRequest(user=user, roles=roles or ("access",))
        answer = await self.auth.people.table[USER_INVITE](request, ADMINISTRATOR)
        return "/web/" + str(answer.url).partition("/web/")[2]

    async def reset(self, user: str = "alice") -> str:
        """Reset somebody and return the path of the link."""
        answer = await self.auth.people.table[USER_RESET](UserResetRequest(user=user), ADMINISTRATOR)
        return "/web/" + str(answer.url).partition("/web/")[2]

    async def declare(self, name: str, *, description: str = "", protocol: str = "HTTP", **labels: str) -> None:
        """Let a host of its own serve an application."""
        token = await self.auth.add_token(f"token-for-{name}".ljust(32, "-"), SystemRole.APP)
        host_id = (await self.auth.join(token.name)).host_id
        record = {
            "kind": "app_server",
            "metadata": {"name": name, "description": description, "labels": labels},
            "spec": {"uri": "http://127.0.0.1:3000", "protocol": protocol},
        }
        request = HeartbeatRequest(hostname="h", version="1.0.0", servers=(record,))
        await self.auth.heartbeats.announce(request, build_host(SystemRole.APP, host_id=host_id))

    def build_code(self, secret: str, step: int = 1) -> str:
        """Return a code that is good by the cluster's clock."""
        return build_code(secret, step, self.auth.clock.now())


def _read(reply: Reply) -> Answer:
    headers = (("Content-Type", reply.content_type), ("Cache-Control", reply.cache_control), *reply.headers)
    return Answer(int(reply.status), headers, reply.body.decode())
