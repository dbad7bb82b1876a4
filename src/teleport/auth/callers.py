"""From a client certificate to the caller whom it proves, or a refusal.

The TLS layer has checked the chain when the connection was made. That is not enough: an authority may have lost its
trust since, and the kind of the certificate must fit the authority that signed it.
"""

from functools import lru_cache

from teleport.auth.access import Caller, CallerKind
from teleport.auth.authority import Authority
from teleport.auth.roles import RoleTable
from teleport.clock import Clock
from teleport.errors import AccessDenied
from teleport.pki.leaf import LeafIdentity, LeafKind, parse_leaf
from teleport.resources.role import SystemRole

_read_leaf = lru_cache(maxsize=1024)(parse_leaf)
"""What a certificate states never changes; only whether it is still trusted is asked anew for every request."""


def identify(
    certificate_der: bytes | None, remote_addr: str, *, authority: Authority, roles: RoleTable, clock: Clock
) -> Caller:
    """Return who calls.

    Raises:
        AccessDenied: the certificate is of another cluster, over, not trusted any more, or no identity of ours.
    """
    if certificate_der is None:
        return Caller(CallerKind.ANONYMOUS, remote_addr=remote_addr)
    leaf = _read_leaf(certificate_der)
    if leaf.cluster_name != authority.cluster_name:
        raise AccessDenied(f"the certificate is of cluster {leaf.cluster_name!r}, this is {authority.cluster_name!r}")
    trusted = authority.trusted_hosts if leaf.kind is LeafKind.HOST else authority.trusted_users
    trusted.check_issued(certificate_der, clock.now())
    return _caller_of(leaf, remote_addr, roles)


def may_name_pod(certificate_der: bytes | None, pod_uid: str) -> bool:
    """Tell without reading a certificate whether it may be bound to a pod: the UID would stand in it as it is.

    Pods end by the thousand, and to read the certificates of all connections for each would keep everybody waiting.
    """
    return certificate_der is not None and pod_uid.encode() in certificate_der


def _caller_of(leaf: LeafIdentity, remote_addr: str, table: RoleTable) -> Caller:
    if leaf.kind is LeafKind.USER:
        roles = frozenset(leaf.roles)
        return Caller(CallerKind.USER, leaf.name, roles, remote_addr, permissions=table.permissions(roles))
    if leaf.kind is LeafKind.BOT:
        return Caller(CallerKind.BOT, leaf.name, frozenset(), remote_addr, leaf.pod_uid)
    if leaf.roles == (SystemRole.ADMIN,):
        return Caller(CallerKind.ADMIN, leaf.name, frozenset(leaf.roles), remote_addr)
    covered = frozenset(leaf.system_roles) if leaf.roles == (SystemRole.INSTANCE,) else frozenset(leaf.roles)
    return Caller(CallerKind.HOST, leaf.name, covered, remote_addr, leaf.pod_uid)
