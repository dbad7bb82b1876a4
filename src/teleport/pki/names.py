"""Which host names and addresses a certificate may carry when a host asks for them.

Whoever holds a name can pose as it. So a requested name must be a plain one, and must not be the cluster's own,
Kubernetes' own, or contain another host's id.
"""

import re
from collections.abc import Iterable, Sequence
from ipaddress import IPv4Address, IPv6Address, ip_address

from teleport.errors import BadParameter

API_DOMAIN = "teleport.cluster.local"
"""The name by which clients know every auth server and proxy, and nobody else."""

MAX_NAMES = 64
MAX_NAME_LENGTH = 253
"""RFC 1035, 2.3.4, in the form without the final dot."""

_LABEL = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_HOST_ID = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_KUBERNETES = frozenset(
    {"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
)


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """Return the IP address, or None if the text is none; an address with a zone is none."""
    if len(text) > MAX_NAME_LENGTH or "%" in text:
        return None
    try:
        return ip_address(text)
    except ValueError:
        return None


def parse_host_name(text: str, *, host_id: str) -> str:
    """Return a requested name, in lower case, or a requested address in its usual form.

    Args:
        text: what was asked for.
        host_id: the asking host's own id, the only one that a name may start with.

    Raises:
        BadParameter: a wildcard, a reserved name, another host's id, or no host name at all (RFC 1123, 2.1).
    """
    address = parse_address(text)
    if address is not None:
        return str(address)
    name = text.lower()
    labels = name.split(".")
    if len(name) > MAX_NAME_LENGTH or not all(_LABEL.fullmatch(label) for label in labels):
        raise BadParameter(f"{text[:64]!r} is no host name or IP address")
    if len(labels) > 1 and labels[-1].isdigit():
        raise BadParameter(f"{text[:64]!r} looks like an IP address and is none")
    if any(label[2:4] == "--" for label in labels):
        raise BadParameter(f"{text[:64]!r} is an internationalized name, which could look like another one")
    if name == API_DOMAIN or name.endswith(f".{API_DOMAIN}") or name in _KUBERNETES:
        raise BadParameter(f"the name {name!r} is reserved")
    if _HOST_ID.fullmatch(labels[0]) and labels[0] != host_id.lower():
        raise BadParameter(f"the name {name!r} starts with the id of another host")
    return name


def parse_node_name(text: str, *, host_id: str) -> str:
    """Return a host's own name, under which SSH clients meet it: as `parse_host_name`, but underscores may stand in it.

    Names of containers have them; a TLS certificate gets no such name.

    Raises:
        BadParameter: as `parse_host_name`.
    """
    checked = parse_host_name(text.replace("_", "0"), host_id=host_id)
    return text.lower() if "_" in text else checked


def parse_host_names(texts: Sequence[str], *, host_id: str, remote_addr: str) -> tuple[str, ...]:
    """Return the requested names and addresses, without repetition and in order.

    Args:
        texts: what was asked for.
        host_id: the asking host's id.
        remote_addr: the IP address that the host has as we see it; takes the place of `0.0.0.0` and `::`.

    Raises:
        BadParameter: too many names, or one that `parse_host_name` refuses.
    """
    if len(texts) > MAX_NAMES:
        raise BadParameter(f"more than {MAX_NAMES} host names are requested")
    names = (parse_host_name(_replace_unspecified(text, remote_addr), host_id=host_id) for text in texts)
    return unique(name for name in names if not _is_unspecified(name))


def unique(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names in order, each once."""
    return tuple(dict.fromkeys(names))


def _replace_unspecified(text: str, remote_addr: str) -> str:
    return remote_addr if remote_addr and _is_unspecified(text) else text


def _is_unspecified(text: str) -> bool:
    address = parse_address(text)
    return address is not None and address.is_unspecified
