"""Network addresses as people type them."""

import re
from dataclasses import dataclass
from ipaddress import IPv6Address

from teleport.errors import BadParameter

MAX_PORT = 65535

_NAME = re.compile(r"[A-Za-z0-9._-]{1,253}")
_PORT = re.compile(r"[0-9]{1,300}")  # leading noughts do not hurt, and more digits than that `int` would refuse


@dataclass(frozen=True, slots=True)
class Address:
    """Host and port; IPv6 hosts carry no brackets."""

    host: str
    port: int

    def __str__(self) -> str:
        """Write it as people type it."""
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


def parse_address(text: str, default_port: int) -> Address:
    """Read `host`, `host:port`, `[v6]:port`, or `:port` for all interfaces; a scheme is refused.

    Raises:
        BadParameter: no host, no port number, or anything else that is no address.
    """
    host, port = _split(text.strip(), default_port)
    if not _NAME.fullmatch(host) and not _is_ipv6(host):
        raise BadParameter(f"{text[:128]!r} is not an address; expected host:port")
    if not _PORT.fullmatch(port) or int(port) > MAX_PORT:
        raise BadParameter(f"{text[:128]!r} has no valid port")
    return Address(host, int(port))


def _split(text: str, default_port: int) -> tuple[str, str]:
    if text.startswith("["):
        host, bracket, rest = text[1:].partition("]")
        if not bracket or ":" not in host or (rest and not rest.startswith(":")):
            return "", ""  # no host, which is refused
        return host, rest.removeprefix(":") or str(default_port)
    if text.count(":") > 1:
        return text, str(default_port)
    host, _, port = text.partition(":")
    return host or "0.0.0.0", port or str(default_port)  # noqa: S104 - `:3025` means all interfaces


def _is_ipv6(host: str) -> bool:
    if "]" in host or "/" in host or not host.isprintable():
        return False
    try:
        IPv6Address(host)
    except ValueError:
        return False
    return True
