"""The auth server's composition root: here, and only here, implementations are chosen and put together."""

import logging
import os
import ssl
from collections.abc import AsyncIterator, Collection, Coroutine, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from functools import partial

from teleport.api.forwarding import FORWARD_ALPN
from teleport.api.messages import JoinResponse, PublicKeys
from teleport.auth.access import Caller
from teleport.auth.addresses import build_names, find_local_host, find_outward_host
from teleport.auth.audit import AuditLog
from teleport.auth.authority import Authority, HostGrant
from teleport.auth.background import follow, repeat
from teleport.auth.callers import identify, may_name_pod
from teleport.auth.certificates import CertificateIssuing
from teleport.auth.clock_guard import ClockGuard
from teleport.auth.data_dir import load_host_id, load_seal_key, prepare_folder
from teleport.auth.endpoints import Endpoints
from teleport.auth.forwarded import ForwardedConnections
from teleport.auth.handlers import Handlers
from teleport.auth.join_limits import JoinLimits
from teleport.auth.join_request import parse_keys
from teleport.auth.joining import Joining
from teleport.auth.kubernetes import build_kubernetes_access
from teleport.auth.measured_backend import MeasuredBackend
from teleport.auth.passwords import PasswordKeeper
from teleport.auth.people import People
from teleport.auth.pod_lives import PodLives
from teleport.auth.presence import Heartbeats
from teleport.auth.resources import AuthorityResources, PresenceResources, ResourceStore, TokenResources
from teleport.auth.roles import RoleTable
from teleport.auth.server_identity import RENEWAL, ServerIdentity, store_admin_identity
from teleport.auth.stores import Stores, build_stores
from teleport.auth.stores.authorities import PREFIX as AUTHORITIES
from teleport.auth.stores.cluster import check_seal, decide_cluster_name
from teleport.auth.stores.presence import SERVER_LIFE
from teleport.auth.stores.roles import PREFIX as ROLES
from teleport.auth.stores.static_tokens import KEY as STATIC_TOKENS
from teleport.auth.token_changes import TokenChanges
from teleport.backend.catalog import open_backend
from teleport.background import running
from teleport.clock import Clock
from teleport.config.settings import Settings
from teleport.errors import AccessDenied
from teleport.join.catalog import build_judges
from teleport.join.method import JudgeContext
from teleport.pki.seal import Sealer
from teleport.resources.address import Address
from teleport.resources.model import Metadata
from teleport.resources.presence import SERVER_ROLES, Server, ServerSpec
from teleport.resources.role import LOCAL_SERVICE_ROLES, SystemRole
from teleport.version import VERSION
from teleport.web.admissions import Admissions
from teleport.web.call import Peer
from teleport.web.limits import RateLimiter
from teleport.web.listener import TlsListener
from teleport.web.metrics import Metrics
from teleport.web.readiness import Readiness
from teleport.web.router import Router
from teleport.web.service import Service
from teleport.web.spare_memory import give_back_spare_memory
from teleport.web.tls import ALPN

COMPONENT = "auth"
AUDIT_COMPONENT = "audit"
KUBERNETES_COMPONENT = "kubernetes"
AUDIT_FILE = "audit.jsonl"
ADMIN_IDENTITY_FILE = "admin.identity"
SEAL_KEY_FILE = "seal.key"

GRACE = timedelta(seconds=10)
CLOCK_PERIOD = timedelta(seconds=10)
LOOK_PERIOD = timedelta(seconds=5)
LIMITS_PERIOD = timedelta(minutes=1)
SPARE_MEMORY_PERIOD = timedelta(seconds=20)
PRESENCE_PERIOD = SERVER_LIFE / 3

logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_auth_server(
    settings: Settings, *, clock: Clock, readiness: Readiness, metrics: Metrics
) -> AsyncIterator["AuthServer"]:
    """Run an auth server for the time of a block.

    Raises:
        StorageError: the data directory or the store cannot be used.
        SealError: the seal key is missing or wrong; nothing was changed.
        BadParameter: the configuration contradicts what the cluster is.
        Unavailable: the address cannot be listened on.
    """
    readiness.expect(COMPONENT)
    guard = ClockGuard(clock)
    async with AsyncExitStack() as stack:
        stores = await _open_stores(settings, guard, metrics, stack)
        # Certificates begin at the time that others have, too: the guard's may be ahead of it.
        authority = await _load_authority(settings, stores, clock)
        await stores.static_tokens.replace([(entry.roles, entry.token) for entry in settings.auth.tokens])
        server = AuthServer(
            settings,
            stores=stores,
            authority=authority,
            clock=guard,
            readiness=readiness,
            metrics=metrics,
        )
        await server.start(stack)
        readiness.succeed(COMPONENT)
        logger.info("auth server of cluster %r listens on %s", server.cluster_name, settings.auth.listen_addr)
        yield server


async def _open_stores(settings: Settings, guard: ClockGuard, metrics: Metrics, stack: AsyncExitStack) -> Stores:
    prepare_folder(settings.data_dir)
    folder = settings.storage.path or settings.data_dir / "backend"
    backend = MeasuredBackend(await open_backend(settings.storage.type, path=folder, clock=guard), metrics)
    stack.push_async_callback(backend.close)
    await guard.load(backend)
    sealer = Sealer(await load_seal_key(settings.auth.seal_key_file or settings.data_dir / SEAL_KEY_FILE, backend))
    await check_seal(backend, sealer)
    return build_stores(backend, sealer, clock=guard, retention=settings.auth.audit_retention)


async def _load_authority(settings: Settings, stores: Stores, clock: Clock) -> Authority:
    cluster_name = await decide_cluster_name(stores.backend, settings.auth.cluster_name, settings.nodename)
    return Authority(
        cluster_name=cluster_name,
        authorities=await stores.authorities.load_or_create(cluster_name),
        host_cert_ttl=settings.auth.host_cert_ttl,
        clock=clock,
    )


class AuthServer:
    """An auth server; `open_auth_server` makes and starts one.

    Args:
        settings: of the process.
        stores: all that is kept.
        authority: signs.
        clock: one that never goes back.
        readiness: told how the server fares.
        metrics: of the process.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        stores: Stores,
        authority: Authority,
        clock: ClockGuard,
        readiness: Readiness,
        metrics: Metrics,
    ) -> None:
        self._settings = settings
        self._stores = stores
        self._authority = authority
        self._clock = clock
        self._readiness = readiness
        self._metrics = metrics
        self._host_id = load_host_id(settings.data_dir)
        self._audit = AuditLog(
            backend=stores.backend,
            path=settings.data_dir / AUDIT_FILE,
            clock=clock,
            retention=settings.auth.audit_retention,
            report=partial(self._report, AUDIT_COMPONENT),
            count=metrics.audit_events.inc,
        )
        self._kubernetes = build_kubernetes_access(
            settings.auth.kubernetes,
            environ=os.environ,
            clock=clock,
            observe=metrics.observe_token_review,
            report=partial(self._report, KUBERNETES_COMPONENT),
        )
        self._pod_lives = PodLives(
            stores=stores, kubernetes=self._kubernetes, audit_log=self._audit, cut=self._cut_members_of_pod
        )
        self._roles = RoleTable()
        self._people = People(
            stores=stores,
            roles=self._roles,
            authority=authority,
            audit_log=self._audit,
            metrics=metrics,
            clock=clock,
            host_id=self._host_id,
            passwords=PasswordKeeper(),
        )
        self._token_changes = TokenChanges(tokens=stores.tokens)
        self._limits = JoinLimits(limits=settings.connection_limits, audit_log=self._audit, clock=clock)
        self._admissions = Admissions(
            metrics=metrics,
            max_connections=settings.connection_limits.max_connections,
            is_welcome=self._limits.is_heeded_by,
        )
        services = self._build_services()
        self._identity = ServerIdentity(
            authority=authority,
            host_id=self._host_id,
            names=build_names(settings),
            protocols=[name for name in services if name is not None],
        )
        self._listener = self._build_listener(services)

    @property
    def cluster_name(self) -> str:
        """Return the cluster's name."""
        return self._authority.cluster_name

    @property
    def local_address(self) -> Address:
        """Return where a client on this host reaches the server."""
        return Address(find_local_host(self._settings.auth.listen_addr.host), self._listener.port)

    def admit_local(self, keys: PublicKeys, *, node_name: str, roles: Collection[SystemRole]) -> JoinResponse:
        """Admit the agent in this very process, which is trusted as much as the auth server itself."""
        grant = HostGrant(
            host_id=self._host_id,
            role=SystemRole.INSTANCE,
            system_roles=tuple(sorted(LOCAL_SERVICE_ROLES.intersection(roles))),
            node_name=node_name,
        )
        issued = self._authority.issue_host(grant, parse_keys(keys, self._authority.reserved_keys))
        trust = self._authority.trust_bundle
        return JoinResponse(host_id=self._host_id, certificates=issued.certificates, trust=trust)

    async def start(self, stack: AsyncExitStack) -> None:
        """Listen, and begin the work beside; the stack ends both, the listener first."""
        stack.push_async_callback(self._clock.store, self._stores.backend)
        if self._kubernetes is not None:
            stack.push_async_callback(self._kubernetes.close)
        await self._renew_identities()
        await self._people.roles.reload()
        await stack.enter_async_context(running(self._background(), partial(self._readiness.fail, COMPONENT)))
        await self._listener.start()
        stack.push_async_callback(self._listener.stop, GRACE)
        stack.callback(self._token_changes.end)  # first of all, or who waits for changes would delay the end
        await self._announce()

    def _background(self) -> list[Coroutine[None, None, None]]:
        backend, kubernetes = self._stores.backend, self._kubernetes
        return [
            self._audit.run(),
            self._pod_lives.run(),
            self._token_changes.run(),
            follow(backend, AUTHORITIES, self._take_over_authorities),
            follow(backend, ROLES, self._people.roles.reload),
            follow(backend, STATIC_TOKENS, self._stores.static_tokens.reload),
            repeat("renewing the server's identity", RENEWAL, self._renew_identities),
            repeat("saying that auth is alive", PRESENCE_PERIOD, self._announce),
            repeat("remembering the time", CLOCK_PERIOD, partial(self._clock.store, backend)),
            repeat("writing refused joins into the audit log", LIMITS_PERIOD, self._limits.flush),
            repeat("giving memory back", SPARE_MEMORY_PERIOD, give_back_spare_memory),
            *([repeat("asking for missing rights", LOOK_PERIOD, kubernetes.look_again)] if kubernetes else []),
        ]

    async def _renew_identities(self) -> None:
        self._identity.renew()
        store_admin_identity(self._settings.data_dir / ADMIN_IDENTITY_FILE, self._authority, self._host_id)

    async def _take_over_authorities(self) -> None:
        """Sign and trust by what is stored now, and cut the connections of those who are not trusted any more."""
        self._authority.replace(await self._stores.authorities.load())
        await self._renew_identities()
        self._admissions.close_where(lambda peer: self._identify(peer) is None)

    def _cut_members_of_pod(self, pod_uid: str) -> None:
        def is_member(peer: Peer) -> bool:
            if not may_name_pod(peer.certificate_der, pod_uid):
                return False
            caller = self._identify(peer)
            return caller is not None and caller.pod_uid == pod_uid

        self._admissions.close_where(is_member)

    def _identify(self, peer: Peer) -> Caller | None:
        """Return who is connected, or None if the certificate is not trusted any more."""
        try:
            return identify(
                peer.certificate_der,
                peer.remote_addr,
                authority=self._authority,
                roles=self._roles,
                clock=self._clock,
            )
        except AccessDenied:
            return None

    async def _announce(self) -> None:
        public = self._settings.auth.public_addrs
        spec = ServerSpec(
            host_id=self._host_id,
            hostname=self._settings.nodename,
            version=VERSION,
            addr=str(Address(self._advertised_host(), self._listener.port)),
            public_addr=str(public[0]) if public else "",
        )
        server = Server(kind="auth_server", metadata=Metadata(name=self._host_id), spec=spec)
        await self._stores.presence.put_server(server, self._clock.now())

    def _advertised_host(self) -> str:
        return self._settings.advertise_ip or find_outward_host(self._settings.auth.listen_addr.host)

    def _build_services(self) -> dict[str | None, Service]:
        """Return what runs inside connections, by ALPN; who names no protocol is cut."""
        endpoints = Endpoints(
            table=self._build_handlers().table,
            authority=self._authority,
            roles=self._roles,
            pod_lives=self._pod_lives,
            limits=self._limits,
            metrics=self._metrics,
            clock=self._clock,
        )
        router = Router(
            routes=endpoints.build_routes(),
            limiter=RateLimiter(self._settings.connection_limits.anonymous_requests, self._clock),
            clock=self._clock,
            body_timeout=self._settings.connection_limits.request_timeout,
        )
        forwarded = ForwardedConnections(
            identify=self._identify,
            check_pod=self._pod_lives.check,
            admissions=self._admissions,
            context=self._find_context,
            services={ALPN: router},
            handshake_timeout=self._settings.connection_limits.handshake_timeout,
        )
        return {ALPN: router, FORWARD_ALPN: forwarded}

    def _find_context(self) -> ssl.SSLContext:
        return self._identity.context()

    def _build_listener(self, services: Mapping[str | None, Service]) -> TlsListener:
        limits = self._settings.connection_limits
        return TlsListener(
            host=self._settings.auth.listen_addr.host,
            port=self._settings.auth.listen_addr.port,
            context=self._identity.context,
            services=services,
            admissions=self._admissions,
            handshake_timeout=limits.handshake_timeout,
        )

    def _build_handlers(self) -> Handlers:
        stores = self._stores
        judges = build_judges(
            JudgeContext(cluster_name=self.cluster_name, clock=self._clock, kubernetes=self._kubernetes)
        )
        joining = Joining(
            stores=stores,
            judges=judges,
            authority=self._authority,
            pod_lives=self._pod_lives,
            audit_log=self._audit,
            clock=self._clock,
        )
        by_kind: dict[str, ResourceStore] = {
            kind: PresenceResources(presence=stores.presence, kind=kind) for kind in [*SERVER_ROLES, "instance"]
        }
        by_kind["cert_authority"] = AuthorityResources(authorities=stores.authorities)
        by_kind["user"], by_kind["role"] = self._people.users, self._people.roles
        by_kind["token"] = TokenResources(stores=stores, judges=judges, audit_log=self._audit, clock=self._clock)
        return Handlers(
            authority=self._authority,
            joining=joining,
            issuing=CertificateIssuing(authority=self._authority, roles=self._roles, audit_log=self._audit),
            heartbeats=Heartbeats(presence=stores.presence, clock=self._clock),
            stores=stores,
            by_kind=by_kind,
            token_changes=self._token_changes,
            pod_lives=self._pod_lives,
            people=self._people.table,
        )

    def _report(self, component: str, problem: str | None) -> None:
        if problem is None:
            self._readiness.succeed(component)
            return
        logger.error("%s", problem)
        self._readiness.fail(component, problem)
        if component == AUDIT_COMPONENT:
            self._metrics.audit_failures.inc()
