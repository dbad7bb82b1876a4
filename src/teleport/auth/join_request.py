"""From the body of a join request to an attempt that is worth judging: bounded, well formed, its keys checked."""

from collections.abc import Collection
from dataclasses import dataclass, field
from datetime import datetime

from teleport.api.messages import JoinRequest, PublicKeys
from teleport.auth.access import Caller, CallerKind
from teleport.auth.authority import CertifiedKeys
from teleport.errors import BadParameter
from teleport.join.method import UnverifiedProof
from teleport.pki.csr import parse_csr
from teleport.pki.ssh import parse_ssh_public_key
from teleport.resources.model import check_name
from teleport.resources.role import SystemRole, parse_role


@dataclass(frozen=True, slots=True)
class JoinAttempt:
    """What a stranger asks for; everything in it is a claim, but the possession of the keys is proved."""

    token_name: str = field(repr=False)
    join_method: str
    role: SystemRole
    node_name: str
    additional_principals: tuple[str, ...]
    dns_names: tuple[str, ...]
    expires: datetime | None
    keys: CertifiedKeys
    proof: UnverifiedProof
    known_host: Caller | None
    """The host that asks again, with a certificate that is still good."""

    @property
    def key_fingerprint(self) -> str:
        """Return which key asks."""
        return self.keys.csr.fingerprint

    @property
    def remote_addr(self) -> str:
        """Return where the request came from."""
        return self.proof.remote_addr


def parse_keys(keys: PublicKeys, forbidden: Collection[str]) -> CertifiedKeys:
    """Check the two public keys and that the caller has the TLS one.

    Args:
        keys: as they came.
        forbidden: fingerprints of the cluster's own keys, for which no certificate is ever signed.

    Raises:
        BadParameter: a key is malformed, weak, not the caller's, or the cluster's own.
    """
    ssh = parse_ssh_public_key(keys.ssh_public_key, forbidden=forbidden)
    return CertifiedKeys(csr=parse_csr(keys.csr, forbidden=forbidden), ssh=ssh)


def parse_attempt(request: JoinRequest, caller: Caller, forbidden: Collection[str]) -> JoinAttempt:
    """Return the attempt that a request makes.

    Raises:
        BadParameter: a field is missing or malformed, or does not go with the role.
    """
    check_name(request.token_name, "token name")
    role = parse_role(request.role)
    if request.node_name:
        check_name(request.node_name, "node name")
    if request.expires is not None and role is not SystemRole.BOT:
        raise BadParameter("expires is only for bots")
    keys = parse_keys(request.keys, forbidden)
    return JoinAttempt(
        token_name=request.token_name,
        join_method=request.join_method,
        role=role,
        node_name=request.node_name,
        additional_principals=request.additional_principals,
        dns_names=request.dns_names,
        expires=request.expires,
        keys=keys,
        proof=UnverifiedProof(raw=request.proof, remote_addr=caller.remote_addr, key_fingerprint=keys.csr.fingerprint),
        known_host=caller if caller.kind is CallerKind.HOST else None,
    )
