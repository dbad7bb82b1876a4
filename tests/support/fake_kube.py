"""An API server that says what a test wants, over real TLS on localhost, and misbehaves on demand."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from support.tls_certificates import ThrowawayAuthority
from teleport.kube.api_server import ApiServer

OWN_TOKEN = "own-token"
PATIENCE = 30.0
"""Seconds after which a test gives up waiting; nothing that works comes near it."""
PREFIX = "authentication.kubernetes.io"
TOKEN_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"

Respond = Callable[[web.BaseRequest], web.StreamResponse]


@dataclass(frozen=True, slots=True)
class Received:
    """A request as it came."""

    method: str
    path: str
    token: str
    headers: Mapping[str, str]
    body: Mapping[str, Any]


@dataclass(slots=True)
class FakeKube:
    """A running server. What is said next comes first, then what is known of tokens and paths."""

    folder: Path
    own_tokens: set[str] = field(default_factory=lambda: {OWN_TOKEN})
    """By which it knows those who ask."""
    answers: dict[str, Any] = field(default_factory=dict)
    """What is answered at a path."""
    received: list[Received] = field(default_factory=list)
    url: str = ""
    in_flight: int = 0
    _arrived: asyncio.Condition = field(default_factory=asyncio.Condition)
    most_in_flight: int = 0
    _statuses: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _next: list[Respond] = field(default_factory=list)
    _gate: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def server(self) -> ApiServer:
        """Return it as a client is told of it."""
        return ApiServer(self.url, self.folder / "ca.crt", self.folder / "token")

    def write_own_token(self, token: str) -> None:
        """Replace the client's token, as the kubelet does."""
        (self.folder / "token").write_text(token)

    def trust(self, authority: ThrowawayAuthority) -> None:
        """Replace the client's CA file, as a cluster does that renews its CA."""
        (self.folder / "ca.crt").write_text(authority.certificate_pem)

    def vouch_for(self, token: str, status: Mapping[str, Any]) -> None:
        """Answer a review of the token with this status; other tokens are invalid."""
        self._statuses[token] = status

    def fail_next(self, status: int, *, retry_after: str = "", times: int = 1, message: str = "no") -> None:
        """Answer the next requests with an error."""
        headers = {"Retry-After": retry_after} if retry_after else {}
        body = {"kind": "Status", "code": status, "message": message}
        self._next += [lambda _: web.json_response(body, status=status, headers=headers)] * times

    def redirect_next(self, location: str) -> None:
        """Send the next request elsewhere."""
        self._next.append(lambda _: web.Response(status=307, headers={"Location": location}))

    def send_next(self, body: bytes, content_type: str = "application/json") -> None:
        """Answer the next request with these bytes."""
        self._next.append(lambda _: web.Response(body=body, content_type=content_type))

    def break_next(self) -> None:
        """Close the next request's connection instead of answering."""

        def hang_up(request: web.BaseRequest) -> web.StreamResponse:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()

        self._next.append(hang_up)

    def hang(self) -> None:
        """Take requests and do not answer them."""
        self._gate.clear()

    async def wait_until_in_flight(self, number: int) -> None:
        """Wait until so many requests hang."""
        async with asyncio.timeout(PATIENCE), self._arrived:
            await self._arrived.wait_for(lambda: self.in_flight >= number)

    def resume(self) -> None:
        """Answer again, also what hangs."""
        self._gate.set()

    async def answer(self, request: web.BaseRequest) -> web.StreamResponse:
        """Handle one request."""
        raw = await request.read()
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        body = json.loads(raw) if raw else {}
        self.received.append(Received(request.method, request.path_qs, token, dict(request.headers), body))
        self.in_flight += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        async with self._arrived:
            self._arrived.notify_all()
        try:
            await self._gate.wait()
        finally:
            self.in_flight -= 1
        if self._next:
            return self._next.pop(0)(request)
        if token not in self.own_tokens:
            return web.json_response({"message": "Unauthorized"}, status=401)
        if request.path == TOKEN_REVIEWS:
            invalid = {"user": {}, "error": "invalid bearer token"}
            return web.json_response({"status": self._statuses.get(body["spec"]["token"], invalid)}, status=201)
        if request.path in self.answers:
            return web.json_response(self.answers[request.path])
        return web.json_response({"message": f"{request.path} not found"}, status=404)


def build_status(*audiences: str, namespace: str = "apps", name: str = "web", pod: str = "web-0") -> dict[str, Any]:
    """Return what a kube-apiserver says of a token that is bound to a pod."""
    return {
        "authenticated": True,
        "audiences": list(audiences or ("example.com",)),
        "user": {
            "username": f"system:serviceaccount:{namespace}:{name}",
            "uid": "account-uid",
            "groups": ["system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated"],
            "extra": {
                f"{PREFIX}/credential-id": ["JTI=8f7b0f6e"],
                f"{PREFIX}/node-name": ["node-1"],
                f"{PREFIX}/node-uid": ["node-uid"],
                f"{PREFIX}/pod-name": [pod],
                f"{PREFIX}/pod-uid": ["pod-uid"],
            },
        },
    }


@asynccontextmanager
async def running_fake_kube(folder: Path, shown_by: ThrowawayAuthority | None = None) -> AsyncIterator[FakeKube]:
    """Run one for the time of a block; `shown_by` signs its certificate in place of the CA that clients trust."""
    authority = ThrowawayAuthority.create("cluster CA")
    kube = FakeKube(folder)
    kube.resume()
    kube.write_own_token(OWN_TOKEN)
    kube.trust(authority)
    runner = web.ServerRunner(web.Server(kube.answer), shutdown_timeout=0.1)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=_build_context(folder, shown_by or authority)).start()
    kube.url = f"https://localhost:{runner.addresses[0][1]}"
    try:
        yield kube
    finally:
        kube.resume()
        await runner.cleanup()


def _build_context(folder: Path, authority: ThrowawayAuthority) -> ssl.SSLContext:
    leaf = authority.issue()
    pem = folder / "leaf.pem"
    pem.write_text(leaf.certificate_pem + leaf.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    return context
