"""Addresses of peers: written one way, and grouped by who controls them."""

import socket

_MAPPED = "::ffff:"
_NETWORK_BYTES = 8


def render_peer_address(sockaddr: tuple[str | int, ...]) -> str:
    """Write the host of a socket address; IPv4 that arrives on an IPv6 socket is written as IPv4, zones are dropped."""
    host = str(sockaddr[0]).partition("%")[0]
    if host.startswith(_MAPPED) and "." in host:
        return host.removeprefix(_MAPPED)
    return host


def network_of(address: str) -> str:
    """Return what limits count by: an IPv4 address, or the /64 of an IPv6 address, which one caller owns as a whole."""
    if ":" not in address:
        return address
    return socket.inet_pton(socket.AF_INET6, address)[:_NETWORK_BYTES].hex()
