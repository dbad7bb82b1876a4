"""The proxy's applications, put together: what the door offers, and what the proxy's own pages need of them."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager

from teleport.api.client import Client
from teleport.api.operations import APP_LAUNCH
from teleport.api.people import AppInfo, AppLaunchRequest
from teleport.background import running
from teleport.clock import Clock
from teleport.config.settings import Settings
from teleport.errors import NotFound
from teleport.proxy.applications.connection import AppParts
from teleport.proxy.applications.directory import AppDirectory
from teleport.proxy.applications.launching import build_auth_location, read_launch
from teleport.proxy.applications.service import SWEEP, AppService, OpenConnections
from teleport.proxy.applications.sessions import AppSessions
from teleport.proxy.applications.tcp import TcpApps
from teleport.proxy.applications.ways import FindTunnel, Ways
from teleport.proxy.offer import Offer, with_and_without_version
from teleport.web.call import Peer, Upgrade
from teleport.web.limits import RateLimiter
from teleport.web.service import Service

CONNECT_PATH = "/webapi/connect/app"


class Applications:
    """All applications of the cluster, as this proxy offers them.

    Args:
        client: to auth.
        directory: whose a host is.
        service: has the connections to applications' hosts.
        tcp: has those that are named otherwise.
    """

    def __init__(self, *, client: Client, directory: AppDirectory, service: AppService, tcp: TcpApps) -> None:
        self._client = client
        self._directory = directory
        self._service = service
        self._tcp = tcp

    def offer(self) -> Offer:
        """Return what the door gives to applications."""
        upgrade = Upgrade(CONNECT_PATH, self._tcp.connect_websocket, anonymous=False)
        return Offer(
            find_host=self._find_host,
            services=(self._service,),
            upgrades=with_and_without_version(upgrade),
        )

    def find_host_name(self, app: AppInfo) -> str:
        """Return the host by which an application is opened."""
        return self._directory.host_of(app)

    def locate(self, app: AppInfo) -> str:
        """Return the origin by which browsers open an application; nothing for one that does not speak HTTP."""
        return "" if app.uri.startswith("tcp:") else self._directory.origin_of(self._directory.host_of(app))

    async def launch(self, *, session_id: str, host: str, query: Mapping[str, str], remote_addr: str) -> str:
        """Return where a browser with a web session goes to get into an application.

        Args:
            session_id: of the web session.
            host: of the application, as the path names it.
            query: of the request: where to go then, and what the application's host has given to the browser.
            remote_addr: of the browser, for the audit log.

        Raises:
            NotFound: no application has this host.
            AccessDenied: the user may not open it, or the session is over.
        """
        host = host.lower()
        app = await self._directory.look_up(host) if self._directory.is_apps_host(host) else None
        if app is None:
            raise NotFound("there is no such application")
        path, state = read_launch(query)
        origin = self._directory.origin_of(host)
        if not state:
            return origin + path  # the application's host gives the browser a state first
        request = AppLaunchRequest(session_id=session_id, app=app, state=state, remote_addr=remote_addr)
        begun = await self._client.call(APP_LAUNCH, request)
        return build_auth_location(origin, code=begun.code, state=state, path=path)

    def connect(self, app: str, peer: Peer, on_closed: Callable[[], None]) -> asyncio.Protocol:
        """Return the protocol for a transport whose bytes are those of a TCP application."""
        return self._tcp.connect(app, peer, on_closed)

    def _find_host(self, host: str) -> Service | None:
        return self._service if self._directory.is_apps_host(host) else None


@asynccontextmanager
async def open_applications(
    settings: Settings,
    *,
    client: Client,
    find_tunnel: FindTunnel,
    limiter: RateLimiter,
    clock: Clock,
    on_crash: Callable[[str], None],
) -> AsyncIterator[Applications]:
    """Offer applications for the time of a block.

    Args:
        settings: of the process.
        client: to auth.
        find_tunnel: finds an agent's tunnel.
        limiter: the rate of strangers, per address.
        clock: the present.
        on_crash: told when work beside them ended by an error that nobody expected.
    """
    directory = AppDirectory(settings.proxy, nodename=settings.nodename, client=client, clock=clock)
    parts = AppParts(
        client=client,
        directory=directory,
        sessions=AppSessions(client, clock=clock),
        ways=Ways(find_tunnel, clock=clock),
        limiter=limiter,
        clock=clock,
        trust_forwarded=settings.proxy.trust_x_forwarded_for,
    )
    connections = OpenConnections()
    service, tcp = AppService(parts, connections, clock=clock), TcpApps(parts, connections)
    async with running([directory.follow(), _keep_sweeping(connections)], on_crash):
        yield Applications(client=client, directory=directory, service=service, tcp=tcp)


async def _keep_sweeping(connections: OpenConnections) -> None:
    while True:
        await asyncio.sleep(SWEEP.total_seconds())
        await connections.sweep()
