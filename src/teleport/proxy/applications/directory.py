"""Whose a host name is: which applications there are, and by which names browsers ask for them."""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta
from ipaddress import ip_address

from teleport.api.client import Client
from teleport.api.operations import APP_NAMES
from teleport.api.people import AppInfo, AppNamesRequest
from teleport.api.trust import SERVER_NAME
from teleport.clock import Clock
from teleport.config.settings import ProxySettings
from teleport.errors import TeleportError
from teleport.resources.address import Address
from teleport.web.call import parse_host

PERIOD = timedelta(seconds=5)
"""How soon a new application is known by a host name of its own."""
PAUSE = timedelta(seconds=1)
"""Between two questions, however many unknown names are asked for."""
_HTTPS_PORT = 443

logger = logging.getLogger(__name__)


class AppDirectory:
    """The names of applications.

    A name right below one of the proxy's public hosts is an application's, whether there is one or not. Any other is
    if an agent offers an application under it, unless it is the proxy's own: no agent gets what is meant for the proxy.

    Args:
        settings: of the proxy.
        nodename: of this host.
        client: to auth.
        clock: the present.
    """

    def __init__(self, settings: ProxySettings, *, nodename: str, client: Client, clock: Clock) -> None:
        self._client = client
        self._clock = clock
        public = settings.public_addrs or (Address(nodename, settings.web_listen_addr.port),)
        self._public = public[0]
        self._zones = tuple(address.host.lower() for address in public if not _is_ip(address.host))
        self._own = frozenset({*(address.host.lower() for address in public), nodename.lower(), "localhost"})
        self._names: frozenset[str] = frozenset()
        self._by_host: Mapping[str, str] = {}
        self._revision = ""
        self._asked: datetime | None = None
        self._asking: asyncio.Task[None] | None = None
        self._wanted = asyncio.Event()

    @property
    def proxy_origin(self) -> str:
        """Return the proxy's own public origin, as browsers write it."""
        return f"https://{self._public.host}{self._port}"

    def origin_of(self, host: str) -> str:
        """Return the public origin of an application's host."""
        return f"https://{host}{self._port}"

    def host_of(self, app: AppInfo) -> str:
        """Return the host by which an application is opened."""
        return parse_host(app.public_addr) or f"{app.name}.{self._public.host.lower()}"

    def find(self, host: str) -> str | None:
        """Return the application whose host this is, as far as it is known now."""
        label = self._label_of(host)
        if label in self._names:
            return label
        return self._by_host.get(host)

    def is_apps_host(self, host: str) -> bool:
        """Tell whether connections to a host are an application's; a name nobody knows is looked for meanwhile."""
        if host in self._own or host == SERVER_NAME or _is_ip(host):
            return False
        if self._label_of(host) or host in self._by_host:
            return True
        self._wanted.set()
        return False

    async def look_up(self, host: str) -> str | None:
        """Return the application whose host this is; auth is asked where it is unknown, but not without pause."""
        found = self.find(host)
        if found is not None or (self._asked is not None and self._clock.now() - self._asked < PAUSE):
            return found
        if self._asking is None:
            self._asking = asyncio.create_task(self._refresh())
            self._asking.add_done_callback(self._forget_asking)
        await asyncio.wait((self._asking,))
        return self.find(host)

    async def follow(self) -> None:
        """Keep up with what there is, until cancelled."""
        while True:
            await self._refresh()
            await asyncio.sleep(PAUSE.total_seconds())
            try:
                async with asyncio.timeout((PERIOD - PAUSE).total_seconds()):
                    await self._wanted.wait()
            except TimeoutError:
                pass
            self._wanted.clear()

    async def _refresh(self) -> None:
        self._asked = self._clock.now()
        try:
            found = await self._client.call(APP_NAMES, AppNamesRequest(revision=self._revision))
        except TeleportError as error:
            logger.warning("auth does not say which applications there are: %s", error.message)
            return
        if found.apps is not None:
            self._revision = found.revision
            self._names = frozenset(found.apps)
            self._by_host = build_hosts(found.apps)

    def _forget_asking(self, _: asyncio.Task[None]) -> None:
        self._asking = None

    def _label_of(self, host: str) -> str:
        """Return the one label before a public host, or nothing."""
        if host in self._own:
            return ""
        label, _, zone = host.partition(".")
        return label if zone in self._zones else ""

    @property
    def _port(self) -> str:
        return "" if self._public.port == _HTTPS_PORT else f":{self._public.port}"


def build_hosts(apps: Mapping[str, Iterable[str]]) -> dict[str, str]:
    """Return applications by public host; of two that claim one host the first by name has it."""
    by_host: dict[str, str] = {}
    for name in sorted(apps):
        for host in map(parse_host, apps[name]):
            holder = by_host.setdefault(host, name)
            if holder != name:
                logger.warning("applications %r and %r have the same public address; %r has it", holder, name, holder)
    return by_host


def _is_ip(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
