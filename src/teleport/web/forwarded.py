"""Whose request it is where a load balancer stands in between."""

from dataclasses import replace
from ipaddress import ip_address

from teleport.web.call import Peer, RequestHead

MAX_ADDRESS = 64


def resolve_peer(head: RequestHead, peer: Peer, *, trusted: bool) -> Peer:
    """Return the peer with the address that the one load balancer in between has seen.

    `X-Forwarded-For` counts only where the operator has said so, and only if it names exactly one address. Two would
    mean that somebody else has spoken first, and that may have been the caller; then the connection's address counts.

    Args:
        head: the request's.
        peer: the other end of the connection.
        trusted: whether `trust_x_forwarded_for` is on.
    """
    text = head.fields.get("x-forwarded-for", "").strip()
    if not trusted or not text or len(text) > MAX_ADDRESS or "%" in text:
        return peer
    try:
        address = ip_address(text)
    except ValueError:
        return peer
    return replace(peer, remote_addr=str(getattr(address, "ipv4_mapped", None) or address))
