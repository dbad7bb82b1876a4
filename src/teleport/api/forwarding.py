"""What is spoken on the way from a client through a proxy to auth.

A client agrees with the proxy on `teleport-auth/1` (ALPN), or asks for a WebSocket where something else ends TLS before
the proxy. The proxy agrees with auth on `teleport-forward/1`, shows its certificate, and opens a stream for each
client, which begins with a preface that names the client's address. What follows is TLS between client and auth.
"""

from collections.abc import Mapping
from ipaddress import IPv6Address, ip_address
from typing import Any

from teleport.errors import BadParameter

AUTH_ALPN = "teleport-auth/1"
"""From a client to a proxy: what follows is for auth."""
FORWARD_ALPN = "teleport-forward/1"
"""From a proxy to auth: a multiplexer's session."""
CONNECT_AUTH_PATH = "/webapi/connect/auth"
"""Where a proxy has a WebSocket whose bytes are for auth; also below `/v1`."""

_AUTH = "auth"


def build_auth_preface(remote_addr: str) -> dict[str, str]:
    """Return how a stream to auth begins.

    Args:
        remote_addr: of the client.
    """
    return {"to": _AUTH, "remote_addr": remote_addr}


def parse_auth_preface(document: Mapping[str, Any]) -> str:
    """Return the client's address, written the one way in which limits and the audit log know it.

    Raises:
        BadParameter: the stream is for somebody else, or it names no address.
    """
    if document.keys() != {"to", "remote_addr"} or document["to"] != _AUTH:
        raise BadParameter("expected a stream to auth that names the client's address, and nothing else")
    text = document["remote_addr"]
    try:
        address = ip_address(text if isinstance(text, str) else "")
    except ValueError as error:
        raise BadParameter("the client's address is none") from error
    if isinstance(address, IPv6Address):
        return str(address.ipv4_mapped or IPv6Address(int(address)))  # without a zone, which means something there only
    return str(address)
