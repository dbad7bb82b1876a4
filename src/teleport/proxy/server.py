"""The proxy's composition root: here, and only here, its parts are put together behind the one public port."""

import asyncio
import logging
import ssl
from collections.abc import Callable, Iterable, Sequence
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial

from teleport.api.host import Host
from teleport.clock import Clock
from teleport.config.settings import ProxySettings, Settings
from teleport.errors import AccessDenied, Unavailable
from teleport.pki.leaf import TrustSet
from teleport.proxy.applications.parts import open_applications
from teleport.proxy.archives import Archives
from teleport.proxy.auth_path import open_auth_path
from teleport.proxy.certificates import WebCertificates
from teleport.proxy.discovery import offer_discovery
from teleport.proxy.door_tls import DoorTls
from teleport.proxy.logins import offer_logins
from teleport.proxy.offer import Carrier, Offer
from teleport.proxy.pages.parts import offer_pages
from teleport.proxy.scripts import offer_scripts
from teleport.proxy.tunnels.service import open_tunnels
from teleport.resources.authority import AuthorityType
from teleport.resources.role import SystemRole
from teleport.web.admissions import Admissions
from teleport.web.call import Peer, RequestHead
from teleport.web.forwarded import resolve_peer
from teleport.web.limits import RateLimiter
from teleport.web.listener import TlsListener
from teleport.web.metrics import Metrics
from teleport.web.readiness import Readiness
from teleport.web.router import Router
from teleport.web.service import Service
from teleport.web.spare_memory import give_back_spare_memory
from teleport.web.tls import ALPN

COMPONENT = "proxy"
WEB_COMPONENT = "web_certificates"
AUTH_LINK_COMPONENT = "auth_link"
GRACE = timedelta(seconds=10)
SPARE_MEMORY_PERIOD = timedelta(seconds=20)

logger = logging.getLogger(__name__)


class ProxyServer:
    """The proxy, as a service of an agent's process.

    Args:
        settings: of the process.
        clock: the present.
        readiness: told how the proxy fares.
        metrics: of the process.
    """

    role = SystemRole.PROXY

    def __init__(self, settings: Settings, *, clock: Clock, readiness: Readiness, metrics: Metrics) -> None:
        self._settings = settings
        self._proxy: ProxySettings = settings.proxy
        self._clock = clock
        self._readiness = readiness
        self._metrics = metrics
        self._tls: DoorTls | None = None

    async def run(self, host: Host) -> None:
        """Serve until cancelled.

        Raises:
            BadParameter: a web certificate is not usable.
            StorageError: the data directory cannot be used.
            Unavailable: the address cannot be listened on.
        """
        certificates = WebCertificates(
            self._proxy, data_dir=self._settings.data_dir, nodename=self._settings.nodename, clock=self._clock
        )
        limiter = RateLimiter(self._settings.connection_limits.anonymous_requests, self._clock)
        async with AsyncExitStack() as stack:
            offers = await self._open_parts(host, limiter, stack)
            services = self._build_services(offers, limiter)
            self._tls = tls = DoorTls(
                protocols=_order_protocols(services),
                identity=host.identity(self.role),
                trust=host.trust,
                certificates=certificates.load(),
            )
            admissions = Admissions(
                metrics=self._metrics, max_connections=self._settings.connection_limits.max_connections
            )
            listener = self._build_listener(tls, services, admissions)
            self._report(WEB_COMPONENT, None)
            await listener.start()
            stack.push_async_callback(listener.stop, GRACE)
            self._readiness.succeed(COMPONENT)
            logger.info("proxy of cluster %r listens on %s", host.cluster_name, self._proxy.web_listen_addr)
            async with asyncio.TaskGroup() as group:
                group.create_task(certificates.follow(tls.replace_web, partial(self._report, WEB_COMPONENT)))
                group.create_task(self._follow_host(host, tls, admissions))
                group.create_task(_spare_memory())

    async def _open_parts(self, host: Host, limiter: RateLimiter, stack: AsyncExitStack) -> list[Offer]:
        """Return what each part answers; the stack ends the parts after the listener."""
        report_link = partial(self._report, AUTH_LINK_COMPONENT)
        tunnels = await stack.enter_async_context(
            open_tunnels(
                host,
                context=self._get_host_context,
                metrics=self._metrics,
                clock=self._clock,
                on_crash=partial(self._report, COMPONENT),
            )
        )
        applications = await stack.enter_async_context(
            open_applications(
                self._settings,
                client=host.client,
                find_tunnel=tunnels.registry.find,
                limiter=limiter,
                clock=self._clock,
                on_crash=partial(self._report, COMPONENT),
            )
        )
        return [
            tunnels.offer,
            applications.offer(),
            offer_discovery(self._proxy, cluster_name=host.cluster_name, trust=lambda: host.trust),
            await stack.enter_async_context(open_auth_path(host, limiter=limiter, report=report_link)),
            offer_logins(host, clock=self._clock),
            offer_scripts(Archives(self._proxy.dist_dir), public_addrs=self._proxy.public_addrs),
            offer_pages(host.client, cluster_name=host.cluster_name, launcher=applications),
        ]

    def _build_services(self, offers: Sequence[Offer], limiter: RateLimiter) -> dict[str | None, Service]:
        """Return what runs inside connections, by ALPN.

        A client that names no protocol means HTTP: load balancers that speak TLS to what is behind them name none.
        """
        router = Router(
            routes=[route for offer in offers for route in offer.routes],
            upgrades=[upgrade for offer in offers for upgrade in offer.upgrades],
            limiter=limiter,
            clock=self._clock,
            body_timeout=self._settings.connection_limits.request_timeout,
            hosts=partial(_find_host, [offer.find_host for offer in offers if offer.find_host is not None]),
            peer_of=self._find_peer,
        )
        http = _Http(router, [service for offer in offers for service in offer.services])
        services: dict[str | None, Service] = {ALPN: http, None: http}
        for offer in offers:
            services.update(offer.protocols)
            services.update({name: _Last(carrier, http) for name, carrier in offer.carriers.items()})
        return services

    def _build_listener(self, tls: DoorTls, services: dict[str | None, Service], admissions: Admissions) -> TlsListener:
        return TlsListener(
            host=self._proxy.web_listen_addr.host,
            port=self._proxy.web_listen_addr.port,
            context=tls.context,
            services=services,
            admissions=admissions,
            handshake_timeout=self._settings.connection_limits.handshake_timeout,
        )

    async def _follow_host(self, host: Host, tls: DoorTls, admissions: Admissions) -> None:
        """Show and trust what auth says, and cut the connections of those who are not trusted any more."""
        while True:
            await host.wait_for_change()
            trust = host.trust
            tls.replace_host(host.identity(self.role), trust)
            trusted = TrustSet([*trust.tls[AuthorityType.HOST], *trust.tls[AuthorityType.USER]])
            admissions.close_where(partial(self._is_distrusted, trusted))

    def _is_distrusted(self, trusted: TrustSet, peer: Peer) -> bool:
        """Tell whether a certificate was good when the connection was made, and is not any more."""
        if peer.certificate_der is None:
            return False
        try:
            trusted.check_issued(peer.certificate_der, self._clock.now())
        except AccessDenied:
            return True
        return False

    def _get_host_context(self) -> ssl.SSLContext:
        if self._tls is None:
            raise Unavailable("the proxy does not listen yet")
        return self._tls.host_context()

    def _find_peer(self, head: RequestHead, peer: Peer) -> Peer:
        return resolve_peer(head, peer, trusted=self._proxy.trust_x_forwarded_for)

    def _report(self, component: str, problem: str | None) -> None:
        if problem is None:
            self._readiness.succeed(component)
            return
        logger.error("%s", problem)
        self._readiness.fail(component, problem)


def _order_protocols(services: Iterable[str | None]) -> list[str]:
    """Return what the port speaks; a client that offers more than HTTP means the other."""
    return sorted((name for name in services if name is not None), key=lambda name: name == ALPN)


async def _spare_memory() -> None:
    """Give back again and again what storms of connections have left; until cancelled."""
    while True:
        await asyncio.sleep(SPARE_MEMORY_PERIOD.total_seconds())
        await give_back_spare_memory()


def _find_host(finders: Sequence[Callable[[str], Service | None]], host: str) -> Service | None:
    return next((service for find in finders if (service := find(host)) is not None), None)


class _Http:
    """HTTP, and what gets its connections from HTTP: they end together."""

    def __init__(self, router: Router, services: Sequence[Service]) -> None:
        self._router = router
        self._services = services
        self.ended = asyncio.Event()

    def connect(self, peer: Peer, on_closed: Callable[[], None]) -> asyncio.Protocol:
        return self._router.connect(peer, on_closed)

    async def shutdown(self, grace: timedelta) -> None:
        try:
            await asyncio.gather(*(service.shutdown(grace) for service in (self._router, *self._services)))
        finally:
            self.ended.set()


class _Last:
    """A carrier, which ends when HTTP has ended."""

    def __init__(self, carrier: Carrier, http: _Http) -> None:
        self._carrier = carrier
        self._http = http

    def connect(self, peer: Peer, on_closed: Callable[[], None]) -> asyncio.Protocol:
        return self._carrier.connect(peer, on_closed)

    async def shutdown(self, grace: timedelta) -> None:
        self._carrier.announce_end()
        await self._http.ended.wait()
        await self._carrier.shutdown(grace)
