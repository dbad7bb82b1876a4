"""SSH public keys of strangers, and the signer of SSH host and user certificates (OpenSSH's PROTOCOL.certkeys)."""

import base64
import binascii
import json
import re
import secrets
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import TypeAlias

from cryptography.hazmat.primitives.serialization import load_ssh_public_key

from teleport.errors import BadParameter, TooLarge
from teleport.pki.foreign import FOREIGN_ERRORS
from teleport.pki.keys import SSH_CURVES, PublicKey, load_ssh_private_key, parse_public_key, public_key_fingerprint
from teleport.pki.names import MAX_NAMES, parse_host_names, parse_node_name, unique
from teleport.pki.ssh_certificate import SshCertificateType, SshStatement, sign_ssh_certificate
from teleport.resources.authority import SshKeyPair
from teleport.resources.model import check_name
from teleport.resources.role import SystemRole

SshPublicKey: TypeAlias = PublicKey

MAX_LINE = 4096
SERIAL_BITS = 64
MAX_PRINCIPALS = 2 * MAX_NAMES

ALGORITHMS = frozenset({"ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa"})
ROLE_EXTENSION = "x-teleport-role"
AUTHORITY_EXTENSION = "x-teleport-authority"
INTERNAL_PRINCIPAL = "-teleport-internal-join"
"""On every user certificate, as in the original: a certificate without principals would be good for all of them."""

_LINE = re.compile(r"([a-z0-9@.-]{1,64}) ([A-Za-z0-9+/]{1,4000}={0,2})(?: [\x20-\x7e]{0,256})?\n?")
_PERMISSIONS = (("permit-port-forwarding", ""), ("permit-pty", ""))
_LOOPBACK = ("localhost", "127.0.0.1", "::1")


def parse_ssh_public_key(line: str, *, forbidden: Collection[str] = ()) -> SshPublicKey:
    """Return the key of an authorized-keys line.

    Args:
        line: the line of a stranger; the comment is ignored.
        forbidden: fingerprints of keys that must not get a certificate, as those of authorities.

    Raises:
        TooLarge: more than `MAX_LINE` characters.
        BadParameter: several lines, options, a certificate, or a key that is not on the list.
    """
    if len(line) > MAX_LINE:
        raise TooLarge(f"the SSH public key is longer than {MAX_LINE} characters")
    parts = _LINE.fullmatch(line)
    if parts is None:
        raise BadParameter("the SSH public key must be one line: algorithm, base64 and perhaps a comment")
    algorithm, text = parts[1], parts[2]
    if "-cert-" in algorithm:
        raise BadParameter("the SSH public key is a certificate; send the plain key")
    if algorithm not in ALGORITHMS:
        raise BadParameter(f"the SSH public key is of algorithm {algorithm!r}, which is not allowed")
    _check_blob(algorithm, text)
    try:
        raw_key = load_ssh_public_key(f"{algorithm} {text}".encode("ascii"))
    except FOREIGN_ERRORS as error:
        raise BadParameter("the SSH public key is malformed or not allowed") from error
    key = parse_public_key(raw_key, what="SSH public key", curves=SSH_CURVES)
    if forbidden and public_key_fingerprint(key) in forbidden:
        raise BadParameter("the SSH public key belongs to somebody else")
    return key


def _check_blob(algorithm: str, text: str) -> None:
    """Make sure that the key inside is of the algorithm that stands before it, and no certificate."""
    try:
        blob = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise BadParameter("the SSH public key is not valid base64") from error
    name = algorithm.encode("ascii")
    if not blob.startswith(len(name).to_bytes(4, "big") + name):
        raise BadParameter("the SSH public key is not of the algorithm that it names")


def build_host_principals(
    host_id: str, node_name: str, cluster_name: str, additional: Sequence[str] = (), *, remote_addr: str = ""
) -> tuple[str, ...]:
    """Return the names under which SSH clients may meet a host, each once and in order.

    Args:
        host_id: the host's id.
        node_name: the host's own name; may be empty.
        cluster_name: the cluster.
        additional: what the host asks for beyond that.
        remote_addr: the address that takes the place of `0.0.0.0`.

    Raises:
        BadParameter: a name that OpenSSH would take for a pattern, that is reserved, or another host's.
    """
    node = parse_node_name(node_name, host_id=host_id) if node_name else ""
    asked = parse_host_names(additional, host_id=host_id, remote_addr=remote_addr)
    own = (host_id, node) if node else (host_id,)
    return unique((*(name for part in own for name in (f"{part}.{cluster_name}", part)), *_LOOPBACK, *asked))


class SshSigner:
    """Signs SSH certificates with one CA key.

    Args:
        pair: the CA's two halves.

    Raises:
        BadParameter: a half is malformed or a certificate, or the two do not belong together.
    """

    def __init__(self, pair: SshKeyPair) -> None:
        public_key = parse_ssh_public_key(pair.public_key)
        self._key = load_ssh_private_key(pair.private_key)
        if self._key.public_key() != public_key:
            raise BadParameter("the SSH CA's private key does not belong to its public key")

    def sign_host(
        self,
        public_key: SshPublicKey,
        *,
        cluster_name: str,
        host_id: str,
        role: SystemRole,
        principals: Sequence[str],
        not_before: datetime,
        not_after: datetime,
        serial: int | None = None,
    ) -> str:
        """Return a host certificate as one line.

        Args:
            public_key: the host's key.
            cluster_name: stands in the certificate as its authority.
            host_id: the host's id.
            role: the host's system role.
            principals: see `build_host_principals`.
            not_before: when it begins.
            not_after: when it ends.
            serial: at most 64 bits; random if none is given.

        Raises:
            BadParameter: no principals, or it would end before it begins.
        """
        return self._sign(
            SshCertificateType.HOST,
            public_key,
            key_id=f"{host_id}.{cluster_name}",
            principals=tuple(principals),
            extensions=((AUTHORITY_EXTENSION, cluster_name), (ROLE_EXTENSION, role.value)),
            validity=(not_before, not_after),
            serial=serial,
        )

    def sign_user(
        self,
        public_key: SshPublicKey,
        *,
        cluster_name: str,
        user: str,
        principals: Sequence[str],
        not_before: datetime,
        not_after: datetime,
        roles: Sequence[str] = (),
        serial: int | None = None,
    ) -> str:
        """Return a user certificate as one line; it permits a terminal and port forwarding, as the original's do.

        Args:
            public_key: the user's key.
            cluster_name: the cluster that the user is of.
            user: the name.
            principals: the logins that the user may take.
            not_before: when it begins.
            not_after: when it ends.
            roles: the cluster's roles that the user holds.
            serial: at most 64 bits; random if none is given.

        Raises:
            BadParameter: the user's name or a login is malformed, or it would end before it begins.
        """
        for name in (user, *principals):
            check_name(name, "user name")
        return self._sign(
            SshCertificateType.USER,
            public_key,
            key_id=user,
            principals=(*principals, INTERNAL_PRINCIPAL),
            extensions=(
                *_PERMISSIONS,
                ("teleport-roles", json.dumps({"version": "v1", "roles": list(roles)})),
                ("teleport-route-to-cluster", cluster_name),
            ),
            validity=(not_before, not_after),
            serial=serial,
        )

    def _sign(
        self,
        kind: SshCertificateType,
        public_key: SshPublicKey,
        *,
        key_id: str,
        principals: tuple[str, ...],
        extensions: tuple[tuple[str, str], ...],
        validity: tuple[datetime, datetime],
        serial: int | None,
    ) -> str:
        if not 0 < len(principals) <= MAX_PRINCIPALS:
            raise BadParameter(f"an SSH certificate needs 1 to {MAX_PRINCIPALS} principals")
        valid_after, valid_before = (int(moment.timestamp()) for moment in validity)
        if not 0 <= valid_after < valid_before:
            raise BadParameter("the SSH certificate would end before it begins")
        statement = SshStatement(
            type=kind,
            public_key=public_key,
            serial=secrets.randbits(SERIAL_BITS) if serial is None else serial,
            key_id=key_id,
            principals=principals,
            valid_after=valid_after,
            valid_before=valid_before,
            extensions=extensions,
        )
        return sign_ssh_certificate(statement, self._key)
