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
MIIBrDCCAVOgAwIBAgIUQK2ZMdo5tanLXVwB9R7++MXW5/UwCgYIKoZIzj0EAwIw
LDEUMBIGA1UECgwLZXhhbXBsZS5jb20xFDASBgNVBAMMC2V4YW1wbGUuY29tMB4X
DTI2MTEyNDA4MzkzNFoXDTM2MTEyMTA4MzkzNFowLDEUMBIGA1UECgwLZXhhbXBs
ZS5jb20xFDASBgNVBAMMC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAEcuOma5r3dJUxyqrD3RJx1Gau6NeaA4i1pclT8ohYR9/DTnMPrUHGXmCu
7ZyfXMoNnTIxysZd4zJxxNUIcE68VqNTMFEwHQYDVR0OBBYEFJmizOpuGpW2J8GT
OCb/RM5kYOAEMB8GA1UdIwQYMBaAFJmizOpuGpW2J8GTOCb/RM5kYOAEMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgH7Hw+x4vvP5W21tmXrEajgYa
kc2oGpM24/HQAzD+LvcCIDZW4XnD4ij2bUsytt14WBz+grqtl0Gmo2kDKoZV42ry
-----END CERTIFICATE-----
"""
HOST_CA_PIN = "sha256:d4fb9ffe618b8066d2d2ee6df7d2d7f65729cff9c57e39f49eb167220a9862fc"
NEXT_HOST_CA = """\
-----BEGIN CERTIFICATE-----
MIIBrDCCAVOgAwIBAgIUGYS5kZ45lGekXT/D44mTkVCpDicwCgYIKoZIzj0EAwIw
LDEUMBIGA1UECgwLZXhhbXBsZS5jb20xFDASBgNVBAMMC2V4YW1wbGUuY29tMB4X
DTI2MTEyNDA4MzkzNFoXDTM2MTEyMTA4MzkzNFowLDEUMBIGA1UECgwLZXhhbXBs
ZS5jb20xFDASBgNVBAMMC2V4YW1wbGUuY29tMFkwEwYHKoZIzj0CAQYIKoZIzj0D
AQcDQgAETZJUXUoMwbn+hsvcPpcOqAdFUc0r5w0+0ngficDrkm6l1ozCOy2kfD2+
85pibhoMfPJLXplixGiNdsUyR3n+s6NTMFEwHQYDVR0OBBYEFJEZVwYD2nuBq+67
5rO3Q/JdTvpjMB8GA1UdIwQYMBaAFJEZVwYD2nuBq+675rO3Q/JdTvpjMA8GA1Ud
EwEB/wQFMAMBAf8wCgYIKoZIzj0EAwIDRwAwRAIgLR+nyr0gfvxVN/fgHev/1cO5
S9eAk7FgEGwhQAzoY50CIB2RkRWu+XJeT/fQ8kvbhvchNl9NurCoSZ9FN7Erq+5d
-----END CERTIFICATE-----
"""
NEXT_HOST_CA_PIN = "sha256:b64d1c5756ca724b1581e8fd2571ec9c8588ffa388a8ad687db10804b409f68a"
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


def run_tctl(
    cluster: FakeCluster, *args: str, stdin: str | None = None, env: dict[str, str] | None = None
) -> Result:
    """Run a command against the fake; errors of ours come out as `result.exception`."""
    session = Session(clock=FixedClock(), opener=cluster.open)
    return CliRunner().invoke(tctl, list(args), obj=session, input=stdin, env=env)


def tctl_output(cluster: FakeCluster, *args: str, stdin: str | None = None, env: dict[str, str] | None = None) -> str:
    """Run a command that must succeed, and return what it printed."""
    result = run_tctl(cluster, *args, stdin=stdin, env=env)
    assert result.exit_code == 0, f"{result.output}{result.exception!r}"
    return result.stdout
