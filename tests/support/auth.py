"""An auth server without a network: the real use cases over a store in memory, with hands to steer time and storage."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Self

from prometheus_client import CollectorRegistry

from support.backend import SteeredBackend
from support.clock import FakeClock
from support.strangers import build_request
from teleport.api.joined import Keys, generate_keys
from teleport.api.messages import JoinRequest, JoinResponse, TokenUse
from teleport.auth.access import Caller, CallerKind
from teleport.auth.audit import PREFIX as AUDIT
from teleport.auth.audit import AuditLog
from teleport.auth.authority import Authority, CertifiedKeys
from teleport.auth.certificates import CertificateIssuing
from teleport.auth.join_request import parse_keys
from teleport.auth.joining import Joining
from teleport.auth.passwords import PasswordKeeper
from teleport.auth.people import People
from teleport.auth.pod_lives import PodLives
from teleport.auth.presence import Heartbeats
from teleport.auth.records import decode
from teleport.auth.resources import TokenResources
from teleport.auth.roles import RoleTable
from teleport.auth.stores import Stores, build_stores
from teleport.config.settings import HOST_CERT_TTL
from teleport.join.catalog import build_judges
from teleport.join.method import JudgeContext
from teleport.kube.access import AccessApi, KubernetesAccess
from teleport.pki.pem import CERTIFICATE, parse_pem
from teleport.pki.seal import Sealer, SealKey
from teleport.resources.model import Metadata
from teleport.resources.role import SystemRole
from teleport.resources.token import Token, TokenLimits, TokenSpec
from teleport.web.metrics import Metrics

CLUSTER = "example.com"
REMOTE_ADDR = "192.0.2.7"
AUTH_HOST_ID = "2f4d5a0e-9a3b-4c07-8a6b-0a2f5f2f6a11"
HOST_ID = "8b6d2f6e-4f0c-4a52-9b8c-0d8a8c0f3f11"
SECRET = "0123456789abcdef0123456789abcdef"
RETENTION = timedelta(days=90)

ANONYMOUS = Caller(CallerKind.ANONYMOUS, remote_addr=REMOTE_ADDR)
ADMIN = Caller(CallerKind.ADMIN, "auth-host", frozenset({"Admin"}), "127.0.0.1")


def build_host(*roles: SystemRole, host_id: str = HOST_ID, remote_addr: str = REMOTE_ADDR) -> Caller:
    """Return a host whose certificate covers the roles."""
    return Caller(CallerKind.HOST, host_id, frozenset(roles), remote_addr)


def build_user(*roles: str, name: str = "alice") -> Caller:
    """Return a user with the roles."""
    return Caller(CallerKind.USER, name, frozenset(roles), REMOTE_ADDR)


def build_token(
    name: str = SECRET,
    *roles: SystemRole,
    method: str = "token",
    bot_name: str = "",
    expires: datetime | None = None,
    limits: dict[str, Any] | None = None,
) -> Token:
    """Return a token; without roles it is for Node."""
    spec = TokenSpec(
        roles=roles or (SystemRole.NODE,),
        join_method=method,
        bot_name=bot_name,
        limits=TokenLimits.model_validate(limits) if limits is not None else None,
    )
    return Token(metadata=Metadata(name=name, expires=expires), spec=spec)


@dataclass(slots=True)
class InProcessAuth:
    """The use cases, and what they stand on."""

    clock: FakeClock
    backend: SteeredBackend
    sealer: Sealer
    stores: Stores
    authority: Authority
    audit_log: AuditLog
    pod_lives: PodLives
    joining: Joining
    tokens: TokenResources
    issuing: CertificateIssuing
    heartbeats: Heartbeats
    roles: RoleTable
    people: People

    @classmethod
    async def start(
        cls,
        *,
        host_cert_ttl: timedelta = HOST_CERT_TTL,
        backend: SteeredBackend | None = None,
        clock: FakeClock | None = None,
        kubernetes: AccessApi | KubernetesAccess | None = None,
        cut: Callable[[str], None] = lambda _: None,
    ) -> Self:
        """Return a new cluster; nothing runs beside the test.

        Args:
            host_cert_ttl: life of a host certificate.
            backend: the store, if a test wants to keep it.
            clock: the present, if others share it.
            kubernetes: the API server of the Kubernetes cluster that it is in, or the way to it.
            cut: told of each pod whose members' connections are closed.
        """
        clock = clock or FakeClock()
        backend = backend or SteeredBackend(clock=clock)
        sealer = Sealer(SealKey(bytes(32)))
        stores = build_stores(backend, sealer, clock=clock, retention=RETENTION)
        authority = Authority(
            cluster_name=CLUSTER,
            authorities=await stores.authorities.load_or_create(CLUSTER),
            host_cert_ttl=host_cert_ttl,
            clock=clock,
        )
        audit_log = AuditLog(
            backend=backend, path=Path("/nowhere/audit.jsonl"), clock=clock, retention=RETENTION, report=lambda _: None
        )
        access = kubernetes
        if access is not None and not isinstance(access, KubernetesAccess):
            access = KubernetesAccess(api=access, clock=clock)
        judges = build_judges(JudgeContext(cluster_name=CLUSTER, clock=clock, kubernetes=access))
        pod_lives = PodLives(stores=stores, kubernetes=access, audit_log=audit_log, cut=cut)
        joining = Joining(
            stores=stores, judges=judges, authority=authority, pod_lives=pod_lives, audit_log=audit_log, clock=clock
        )
        roles = RoleTable()
        people = People(
            stores=stores,
            roles=roles,
            authority=authority,
            audit_log=audit_log,
            metrics=Metrics(CollectorRegistry()),
            clock=clock,
            host_id=AUTH_HOST_ID,
            passwords=PasswordKeeper(memory_kib=8),
        )
        backend.calls.clear()
        return cls(
            clock=clock,
            backend=backend,
            sealer=sealer,
            stores=stores,
            authority=authority,
            audit_log=audit_log,
            pod_lives=pod_lives,
            joining=joining,
            tokens=TokenResources(stores=stores, judges=judges, audit_log=audit_log, clock=clock),
            issuing=CertificateIssuing(authority=authority, roles=roles, audit_log=audit_log),
            heartbeats=Heartbeats(presence=stores.presence, clock=clock),
            roles=roles,
            people=people,
        )

    async def add_token(self, name: str = SECRET, *roles: SystemRole, **fields: Any) -> Token:
        """Store a token as an administrator does."""
        created = await self.tokens.create(build_token(name, *roles, **fields), ADMIN)
        assert isinstance(created, Token)
        return created

    async def join(
        self, token: str = SECRET, *, keys: Keys | None = None, caller: Caller = ANONYMOUS, **fields: Any
    ) -> JoinResponse:
        """Join; without keys a new host does it."""
        return await self.joining.join(build_request(keys or generate_keys(), token, **fields), caller)

    async def ask_to_join(self, request: JoinRequest, caller: Caller = ANONYMOUS) -> JoinResponse:
        """Join by a request that a test made itself."""
        return await self.joining.join(request, caller)

    async def list_events(self, *names: str) -> list[dict[str, Any]]:
        """Return the audit events in the store, oldest first; of these names, or all."""
        records = [decode(item.value) for item in await self.backend.range(AUDIT, limit=10_000)]
        return [record for record in records if not names or record["event"] in names]

    async def last_event(self) -> dict[str, Any]:
        """Return the latest audit event."""
        return (await self.list_events())[-1]

    async def list_uses(self, name: str = SECRET, limit: int = 1000) -> list[TokenUse]:
        """Return a token's ledger, newest first."""
        return await self.stores.ledger.list_newest(self.stores.tokens.lookup_id(name), limit)

    def certify(self, keys: Keys | None = None) -> CertifiedKeys:
        """Return checked public keys."""
        return parse_keys((keys or generate_keys()).build_public_keys("host"), self.authority.reserved_keys)


def to_der(certificate_pem: str) -> bytes:
    """Return a certificate as TLS shows it."""
    return parse_pem(certificate_pem, CERTIFICATE, what="certificate")


def list_reasons(events: Sequence[dict[str, Any]]) -> list[str]:
    """Return the reasons of events, `success` where there is none."""
    return [event.get("reason", "success") for event in events]
