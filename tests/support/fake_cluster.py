"""A cluster in memory for tests of the command line: it answers like auth, and tests steer it by hand."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from click.testing import CliRunner, Result
from pydantic import BaseModel

from teleport.api import messages as m
from teleport.api.operations import Operation, RequestT, ResponseT
from teleport.cli.flags import ClusterFlags
from teleport.cli.tctl.main import tctl
from teleport.cli.tctl.session import Session
from teleport.errors import AlreadyExists, BadParameter, CompareFailed, NotFound, TeleportError
from teleport.resources.codec import parse_resource, to_plain
from teleport.resources.model import Metadata, Resource
from teleport.resources.role import SystemRole
from teleport.resources.token import Token, TokenSpec, fill_defaults, safe_name

CLUSTER_NAME = "teleport.example.com"
NOW = datetime(2023, 3, 30, 18, 12, 52, tzinfo=UTC)

HOST_CA = """\
-----BEGIN CERTIFICATE-----
MIIBxTCCAWugAwIBAgIUJhBdKxkH8NFnMVdnXgGChwAMdhkwCgYIKoZIzj0EAwIw
PjEdMBsGA1UECgwUdGVsZXBvcnQuZXhhbXBsZS5jb20xHTAbBgNVBAMMFHRlbGVw
b3J0LmV4YW1wbGUuY29tMCAXDTIzMDEwMTAwMDAwMFoYDzIxMjIxMjA4MDAwMDAw
WjA+MR0wGwYDVQQKDBR0ZWxlcG9ydC5leGFtcGxlLmNvbTEdMBsGA1UEAwwUdGVs
ZXBvcnQuZXhhbXBsZS5jb20wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAAQ/JNbn
e+OKLv5U44tJrALtEqBZJUGTGqvegwFdDqCjBSKOX1F0Avt9cC2fwFbVqAbE1Pee
unWg252F6QGE2d4Io0UwQzASBgNVHRMBAf8ECDAGAQH/AgEAMA4GA1UdDwEB/wQE
AwIBBjAdBgNVHQ4EFgQUFmRiYhbAOgYA6cx4DTz9tIjuQzUwCgYIKoZIzj0EAwID
SAAwRQIgdtKEz/0kGFHqimTi8J8LkSMa7nFGXiAumnUgVTDsIHcCIQCmxfvT+/QA
k6H6R7ouBNErsyOwE0c4ILMcMA06GebbDQ==
-----END CERTIFICATE-----
"""
HOST_CA_PIN = "sha256:7123ecdc2285dc43d1ef448fb5402e8e21a41cf31b33220b8a2e76704338df81"
NEXT_HOST_CA = """\
-----BEGIN CERTIFICATE-----
MIIBxTCCAWugAwIBAgIUYc4kDL/pjz/3cAmaMhuioSNlPb0wCgYIKoZIzj0EAwIw
PjEdMBsGA1UECgwUdGVsZXBvcnQuZXhhbXBsZS5jb20xHTAbBgNVBAMMFHRlbGVw
b3J0LmV4YW1wbGUuY29tMCAXDTIzMDEwMTAwMDAwMFoYDzIxMjIxMjA4MDAwMDAw
WjA+MR0wGwYDVQQKDBR0ZWxlcG9ydC5leGFtcGxlLmNvbTEdMBsGA1UEAwwUdGVs
ZXBvcnQuZXhhbXBsZS5jb20wWTATBgcqhkjOPQIBBggqhkjOPQMBBwNCAASTiB5P
6G5YK7HiZASbNWzhmWj7O0J9hWBx2NE9sr8i+jHa1Do7YMfJvKLZyrIISseha/C1
RyY7YbY7hKKRxEJho0UwQzASBgNVHRMBAf8ECDAGAQH/AgEAMA4GA1UdDwEB/wQE
AwIBBjAdBgNVHQ4EFgQU0lYKT6kNCvaGHbUqAsJhBjb+9QYwCgYIKoZIzj0EAwID
SAAwRQIgVqs8aSQgUy+QUIB0NMJak5gBSwZiwMNuXKHemmCDxUECIQC1RTyQQmyd
OVhPBmhA71TVwXEBwYFzSLm21fSQTzPCwg==
-----END CERTIFICATE-----
"""
NEXT_HOST_CA_PIN = "sha256:29ca4d9754fa8070567af9667e54bce32043dcbd5ac9e37a599b86c09dd46270"
SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIMezeiJ3yREYCQgav2ejGW6nou3wSy69CtDHft+pQ0qq"
SSH_FINGERPRINT = "SHA256:p8C/TSp5O3QUVkGJkoC5h9HqeVred3mIk+fiYMimtvU"
NEXT_SSH_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIEjXVDsG2by8I1Z4LRbMuMfT5WvcO/i9rLQgfDSXXCmX"


@dataclass(slots=True)
class FixedClock:
    """A clock that stands still."""

    time: datetime = NOW

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return 0.0


@dataclass
class FakeCluster:
    """Resources by kind and name, and the calls that were made."""

    auth_addresses: tuple[str, ...] = ("192.0.2.0:3025",)
    proxy_addresses: tuple[str, ...] = ()
    host_ca: tuple[str, ...] = (HOST_CA,)
    page_size: int = 500
    resources: dict[tuple[str, str], Resource] = field(default_factory=dict)
    uses: list[m.TokenUse] = field(default_factory=list)
    calls: list[tuple[str, BaseModel]] = field(default_factory=list)
    failures: dict[str, TeleportError] = field(default_factory=dict)
    flags: ClusterFlags | None = None
    revision: int = 0

    def add(self, resource: Resource) -> Resource:
        self.revision += 1
        stored = resource.with_metadata(revision=str(self.revision))
        kind = resource.kind if not resource.sub_kind else f"{resource.kind}/{resource.sub_kind}"
        self.resources[kind, resource.name] = stored
        return stored

    def add_token(
        self,
        name: str,
        roles: tuple[SystemRole, ...] = (SystemRole.NODE,),
        expires: datetime | None = None,
        labels: dict[str, str] | None = None,
        method: str = "token",
    ) -> None:
        metadata = Metadata(name=name, expires=expires, labels=labels or {})
        self.add(Token(metadata=metadata, spec=TokenSpec(roles=roles, join_method=method)))

    def tokens(self) -> list[str]:
        return [name for kind, name in self.resources if kind == "token"]

    def fail(self, operation: str, error: TeleportError) -> None:
        self.failures[operation] = error

    def called(self, operation: str) -> list[BaseModel]:
        return [request for name, request in self.calls if name == operation]

    @asynccontextmanager
    async def open(self, flags: ClusterFlags) -> AsyncIterator["FakeCluster"]:
        self.flags = flags
        yield self

    async def call(self, operation: Operation[RequestT, ResponseT], request: RequestT) -> ResponseT:
        self.calls.append((operation.name, request))
        if operation.name in self.failures:
            raise self.failures[operation.name]
        answer = getattr(self, "_" + operation.name.replace("/", "_"))(request)
        assert isinstance(answer, operation.response)
        return answer

    def _ping(self, _: m.Empty) -> m.PingResponse:
        return m.PingResponse(
            cluster_name=CLUSTER_NAME,
            server_version="12.1.1",
            auth_addresses=self.auth_addresses,
            proxy_addresses=self.proxy_addresses,
        )

    def bundle(self) -> m.TrustBundle:
        ssh = {"host": (SSH_KEY, NEXT_SSH_KEY), "user": (SSH_KEY,), "openssh": (NEXT_SSH_KEY,)}
        tls = {"host": self.host_ca, "user": (NEXT_HOST_CA,), "db": (NEXT_HOST_CA,)}
        return m.TrustBundle(revision="1", cluster_name=CLUSTER_NAME, tls=tls, ssh=ssh)

    def _trust_bundle(self, _: m.TrustBundleRequest) -> m.TrustBundleResponse:
        return m.TrustBundleResponse(bundle=self.bundle())

    def _token_uses(self, request: m.TokenUsesRequest) -> m.TokenUsesResponse:
        self._find("token", request.name)
        return m.TokenUsesResponse(name=request.name, uses=tuple(self.uses[: request.limit]))

    def _user_certificates(self, _: m.UserCertificatesRequest) -> m.UserCertificatesResponse:
        return m.UserCertificatesResponse(
            tls_certificate=HOST_CA, ssh_certificate="ssh-ed25519-cert-v01@openssh.com AAAA", trust=self.bundle()
        )

    def _resources_create(self, request: m.ResourceRequest) -> m.ResourceResponse:
        resource = parse_resource(request.resource)
        if (resource.kind, resource.name) in self.resources:
            raise AlreadyExists(f"{resource.kind} exists already")
        return self._store(resource)

    def _resources_upsert(self, request: m.ResourceRequest) -> m.ResourceResponse:
        return self._store(parse_resource(request.resource))

    def _resources_update(self, request: m.ResourceRequest) -> m.ResourceResponse:
        resource = parse_resource(request.resource)
        if self._find(resource.kind, resource.name).metadata.revision != resource.metadata.revision:
            raise CompareFailed("the resource has moved on")
        return self._store(resource)

    def _store(self, resource: Resource) -> m.ResourceResponse:
        filled = fill_defaults(resource, NOW) if isinstance(resource, Token) else resource
        return m.ResourceResponse(resource=to_plain(self.add(filled)))

    def _resources_get(self, request: m.GetRequest) -> m.ResourceResponse:
        return m.ResourceResponse(resource=to_plain(self._find(request.kind, request.name)))

    def _resources_list(self, request: m.ListRequest) -> m.ListResponse:
        every = [to_plain(resource) for resource in self.resources.values() if resource.kind == request.kind]
        start = int(request.page_token or 0)
        end = start + self.page_size
        page: tuple[dict[str, Any], ...] = tuple(every[start:end])
        return m.ListResponse(resources=page, next_page_token=str(end) if end < len(every) else "")

    def _resources_delete(self, request: m.DeleteRequest) -> m.DeleteResponse:
        found = self._find(request.kind, request.name)
        if found.metadata.labels.get("teleport.dev/origin") == "config-file":
            raise BadParameter("static tokens are removed in the configuration of auth")
        del self.resources[request.kind, request.name]
        return m.DeleteResponse(name=safe_name(request.name))

    def _find(self, kind: str, name: str) -> Resource:
        found = self.resources.get((kind, name))
        if found is None:
            raise NotFound(f"{kind} {safe_name(name)!r} not found")
        return found


def run_tctl(cluster: FakeCluster, *args: str, stdin: str | None = None, env: dict[str, str] | None = None) -> Result:
    """Run a command against the fake; errors of ours come out as `result.exception`."""
    session = Session(clock=FixedClock(), opener=cluster.open)
    return CliRunner().invoke(tctl, list(args), obj=session, input=stdin, env=env)


def tctl_output(cluster: FakeCluster, *args: str, stdin: str | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command that must succeed, and return what it printed."""
    result = run_tctl(cluster, *args, stdin=stdin, env=env)
    assert result.exit_code == 0, f"{result.output}{result.exception!r}"
    return result.stdout
