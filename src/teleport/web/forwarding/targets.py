"""Where an application may be, as its agent sees it, and the connection to it.

An address is judged when it is connected to, not when its name is written down: a name may lead elsewhere by then.
"""

import asyncio
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network
from urllib.parse import urlsplit

from teleport.errors import AccessDenied, BadParameter, ConnectionFailed, TrustError

_PORTS = {"http": 80, "https": 443}
_SCHEMES = frozenset({"http", "https", "tcp"})

_METADATA = frozenset(
    ip_address(text)
    for text in (
        "100.100.100.200",  # Alibaba Cloud
        "168.63.129.16",  # Azure, beside the link-local one
        "192.0.0.192",  # Oracle Cloud
        "fd00:ec2::254",  # Amazon EC2
        "fd20:ce::254",  # Google Cloud
    )
)
"""Addresses at which clouds tell a machine its secrets; most others are link-local."""
_METADATA_NAMES = frozenset(
    {"metadata", "metadata.google.internal", "metadata.goog", "instance-data", "instance-data.ec2.internal"}
)
_TRANSLATED = IPv6Network("64:ff9b::/96")
"""IPv4 addresses as a NAT64 sees them (RFC 6052)."""
_THIS_HOST = ip_network("0.0.0.0/8")

IpAddress = IPv4Address | IPv6Address


@dataclass(frozen=True, slots=True)
class Target:
    """An application's address.

    Args:
        scheme: http, https or tcp.
        host: a name or an address, as it was written.
        port: TCP.
        context: what a server must prove, for https.
    """

    scheme: str
    host: str
    port: int
    context: ssl.SSLContext | None = field(default=None, repr=False, compare=False)

    @property
    def host_header(self) -> bytes:
        """Return what the application expects as Host."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return (host if _PORTS.get(self.scheme) == self.port else f"{host}:{self.port}").encode()

    async def open(self, protocol_factory: Callable[[], asyncio.Protocol]) -> asyncio.BaseTransport:
        """Connect to the first of the target's addresses that answers.

        Raises:
            AccessDenied: see `check_address`.
            ConnectionFailed: nothing answers.
            TrustError: the application's certificate is not the one to expect.
        """
        loop = asyncio.get_running_loop()
        check_name(self.host)
        try:
            found = await loop.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM)
        except (OSError, UnicodeError) as error:
            raise ConnectionFailed(f"the name {self.host} is not known") from error
        addresses = list(dict.fromkeys(str(sockaddr[0]) for *_, sockaddr in found))
        for address in addresses:
            check_address(self.host, address)
        cause: OSError | None = None
        for address in addresses:
            try:
                return await self._connect(loop, protocol_factory, address)
            except ssl.SSLCertVerificationError as error:
                raise TrustError(f"the certificate of {self.host} is not trusted: {error.verify_message}") from error
            except OSError as error:
                cause = error
        raise ConnectionFailed(f"nothing answers at {self.host}:{self.port}") from cause

    async def _connect(
        self, loop: asyncio.AbstractEventLoop, protocol_factory: Callable[[], asyncio.Protocol], address: str
    ) -> asyncio.BaseTransport:
        name = self.host if self.context is not None else None
        transport, _ = await loop.create_connection(
            protocol_factory, address, self.port, ssl=self.context, server_hostname=name
        )
        return transport


def parse_target(uri: str, *, insecure_skip_verify: bool = False) -> Target:
    """Read an application's address, as `http://localhost:8080`; its path, if any, is not looked at.

    Args:
        uri: an http, https or tcp address.
        insecure_skip_verify: whether an https application may show any certificate.

    Raises:
        BadParameter: it is none; a tcp address needs a port.
    """
    try:
        parts = urlsplit(uri)
        host, port = parts.hostname, parts.port or _PORTS.get(parts.scheme)
    except ValueError as error:
        raise BadParameter("not an application's address; expected something like http://localhost:8080") from error
    if parts.scheme not in _SCHEMES or not host or not port:
        raise BadParameter("not an application's address; expected something like http://localhost:8080")
    context = build_context(insecure_skip_verify=insecure_skip_verify) if parts.scheme == "https" else None
    return Target(parts.scheme, host, port, context)


def build_context(*, insecure_skip_verify: bool) -> ssl.SSLContext:
    """Return what an application must prove: a certificate for its name, under the system's roots, or nothing."""
    context = ssl.create_default_context() if not insecure_skip_verify else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    if insecure_skip_verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["http/1.1"])
    return context


def check_name(host: str) -> None:
    """Refuse names under which clouds tell secrets, before anybody is asked where they lead.

    Raises:
        AccessDenied: it is such a name.
    """
    if host.rstrip(".").lower() in _METADATA_NAMES:
        raise AccessDenied(f"{host} is a cloud's metadata service; if it is meant, the uri must name its address")


def check_address(host: str, address: str) -> None:
    """Refuse to connect to what is no application, unless the application's uri names exactly this address.

    Link-local and metadata addresses give a machine's secrets to whoever asks. Loopback is allowed: applications are
    often beside their agent.

    Args:
        host: the host of the uri, as it is written there.
        address: what it leads to, in any spelling, also as IPv4 inside of IPv6.

    Raises:
        AccessDenied: it is a link-local, metadata, multicast or unspecified address.
    """
    resolved = ip_address(address.partition("%")[0])
    if host.partition("%")[0].lower() == str(resolved):
        return
    actual = _unwrap(resolved)
    if (
        actual.is_link_local
        or actual in _METADATA
        or actual.is_multicast
        or actual.is_unspecified
        or actual in _THIS_HOST
        or str(actual) == "255.255.255.255"
    ):
        raise AccessDenied(f"{host} leads to {actual}, which is no application; if it is meant, the uri must name it")


def _unwrap(address: IpAddress) -> IpAddress:
    """Return the IPv4 address inside of an IPv6 one, if that is what it is."""
    if isinstance(address, IPv4Address):
        return address
    inside = address.ipv4_mapped or address.sixtofour
    if inside is None and address in _TRANSLATED:
        inside = IPv4Address(int(address) & 0xFFFFFFFF)
    return inside or address
