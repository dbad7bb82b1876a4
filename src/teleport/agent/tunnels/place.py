"""Where proxies take tunnels: as the configuration says, or as a proxy says itself; and the addresses behind a name."""

import asyncio
import random
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import timedelta

from pydantic import BaseModel, Field, ValidationError

from teleport.api.exchange import Exchange
from teleport.clock import Clock
from teleport.config.settings import Settings
from teleport.errors import BadParameter, ConnectionFailed, TeleportError
from teleport.resources.address import Address, parse_address
from teleport.web.tls import ALPN, build_web_client_context

ADDRESS_VARIABLE = "TELEPORT_TUNNEL_PUBLIC_ADDR"
"""An environment variable that overrides what a proxy says; the original's."""
KNOWN_FOR = timedelta(minutes=10)
ASK_SECONDS = 10.0
MAX_ADDRESSES = 64


class _Ssh(BaseModel):
    ssh_tunnel_public_addr: str = Field(default="", max_length=512)


class _Proxy(BaseModel):
    ssh: _Ssh = _Ssh()


class _Description(BaseModel):
    """What matters here of `/webapi/find`."""

    proxy: _Proxy = _Proxy()


@dataclass(frozen=True, slots=True)
class Place:
    """Where tunnels lead to.

    Args:
        address: the public address of proxies.
        is_told: it was said for tunnels, and no proxy is asked.
        is_insecure: the certificate of whatever stands at a public address is not looked at.
    """

    address: Address
    is_told: bool
    is_insecure: bool


def choose_place(settings: Settings, environment: Mapping[str, str]) -> Place | None:
    """Return where the tunnels of a process lead to, or None: it knows of no proxy.

    Raises:
        BadParameter: the environment's address is none.
    """
    told = environment.get(ADDRESS_VARIABLE, "")
    if told:
        try:
            return Place(parse_address(told, 443), is_told=True, is_insecure=settings.is_insecure)
        except BadParameter as error:
            raise BadParameter(f"{ADDRESS_VARIABLE}: {error.message}") from error
    if settings.proxy_server is not None:
        return Place(settings.proxy_server, is_told=False, is_insecure=settings.is_insecure)
    if settings.is_proxy:
        here = Address("127.0.0.1", settings.proxy.web_listen_addr.port)
        return Place(here, is_told=True, is_insecure=False)
    return None


class TunnelAddress:
    """Asks a proxy where tunnels lead to, at most every ten minutes.

    Args:
        place: where to ask, unless there is nothing to ask.
        clock: the present.
    """

    def __init__(self, place: Place, clock: Clock) -> None:
        self._place = place
        self._clock = clock
        self._found: Address | None = None
        self._until = 0.0

    async def get(self) -> Address:
        """Return the address to dial; a proxy that does not answer is dialled at the address that is known."""
        now = self._clock.monotonic()
        if self._place.is_told:
            return self._place.address
        if self._found is None or now >= self._until:
            try:
                self._found = await ask_for_tunnel_address(self._place)
            except TeleportError:
                return self._found or self._place.address
            self._until = now + KNOWN_FOR.total_seconds()
        return self._found


async def ask_for_tunnel_address(place: Place) -> Address:
    """Ask a proxy where tunnels lead to.

    Raises:
        ConnectionFailed: it does not answer, or not with a description.
    """
    exchange = Exchange(str(place.address))
    context = build_web_client_context((ALPN,), is_verified=not place.is_insecure)
    try:
        async with asyncio.timeout(ASK_SECONDS):
            await asyncio.get_running_loop().create_connection(
                lambda: exchange, place.address.host, place.address.port, ssl=context
            )
            answer = await exchange.ask("GET", "/v1/webapi/find", headers={}, body=None)
    except OSError as error:
        raise ConnectionFailed(f"cannot ask proxy {place.address}: {error}") from error
    finally:
        exchange.close()
    return parse_description(answer.body, place.address)


def parse_description(body: bytes, asked: Address) -> Address:
    """Return where a description says that tunnels lead to: the address that was asked, if it says nothing.

    Raises:
        ConnectionFailed: it is none.
    """
    try:
        told = _Description.model_validate_json(body).proxy.ssh.ssh_tunnel_public_addr
        return parse_address(told, asked.port) if told else asked
    except (ValidationError, BadParameter) as error:
        raise ConnectionFailed(f"proxy {asked} does not say where tunnels lead to") from error


@dataclass(slots=True)
class Endpoints:
    """The addresses behind a name, and what came of dialling each: a name may have one for every proxy."""

    chance: random.Random
    tunnels: Counter[str] = field(default_factory=Counter)
    """By host, how many tunnels there are."""
    failures: Counter[str] = field(default_factory=Counter)
    """By host, how many dials in a row have failed."""

    def choose(self, hosts: list[str]) -> str:
        """Return the one to dial: by chance one of those with the fewest tunnels and failures."""
        fewest = min(self.tunnels[host] + self.failures[host] for host in hosts)
        return self.chance.choice([host for host in hosts if self.tunnels[host] + self.failures[host] == fewest])


async def resolve(address: Address) -> list[str]:
    """Return the hosts behind an address, each once.

    Raises:
        ConnectionFailed: the name is not known.
    """
    try:
        found = await asyncio.get_running_loop().getaddrinfo(address.host, address.port)
    except OSError as error:
        raise ConnectionFailed(f"cannot find {address}: {error.strerror}") from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))[:MAX_ADDRESSES]
