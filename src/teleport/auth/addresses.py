"""By which names and addresses an auth server is reached, from this host and from others."""

import socket

from teleport.config.settings import Settings

_EVERYWHERE = frozenset({"0.0.0.0", "::"})  # noqa: S104 - to recognise it
_DOCUMENTATION_ADDRESS = ("192.0.2.1", 9)
"""RFC 5737: an address that belongs to nobody."""


def build_names(settings: Settings) -> tuple[str, ...]:
    """Return what the server's certificate shall name beside the cluster's own name for it."""
    hosts = [address.host for address in (*settings.auth.public_addrs, settings.auth.listen_addr)]
    named = [host for host in hosts if host not in _EVERYWHERE]
    return tuple(dict.fromkeys([*named, "localhost", "127.0.0.1", "::1"]))


def find_local_host(listen_host: str) -> str:
    """Return where a client on this host reaches what listens there."""
    return "127.0.0.1" if listen_host in _EVERYWHERE else listen_host


def find_outward_host(listen_host: str) -> str:
    """Return the address to show to other hosts: of the interface that leads out, if all are listened on."""
    if listen_host not in _EVERYWHERE:
        return listen_host
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(_DOCUMENTATION_ADDRESS)  # a datagram socket sends nothing when it connects
        except OSError:
            return find_local_host(listen_host)
        return str(probe.getsockname()[0])
