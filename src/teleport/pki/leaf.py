"""Client certificates to identities, strictly, and the set of CAs whose leaves are good at present.

The TLS layer accepts what any loaded CA signed. Here it is decided what a certificate means, and whether the CA that
signed it is still one of those that are trusted.
"""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from teleport.errors import AccessDenied, BadParameter, TrustError
from teleport.pki.ca_certificate import CaCertificate, parse_ca_certificate
from teleport.pki.certificate import Statement, parse_certificate, parse_statement
from teleport.pki.templates import (
    BOT_INSTANCE,
    BOT_NAME,
    CLUSTER_NAME,
    COMMON_NAME,
    ORGANIZATION,
    POD_UID,
    SYSTEM_ROLE,
    USER_TYPE,
    BotTemplate,
    HostTemplate,
    Template,
    UserTemplate,
)
from teleport.resources.role import SystemRole

MAX_REMEMBERED = 16384
"""Leaves of which a trust set remembers that they were good; about as many as one server has agents."""


class LeafKind(StrEnum):
    """Whose certificate it is."""

    HOST = "host"
    USER = "user"
    BOT = "bot"


@dataclass(frozen=True, slots=True)
class LeafIdentity:
    """Who a certificate says its holder is; whether that is true, a `TrustSet` tells."""

    kind: LeafKind
    name: str
    """The host id, the user's name, or the bot's name without `bot-`."""
    common_name: str
    cluster_name: str
    roles: tuple[str, ...]
    """The one system role of a host, or the cluster's roles of a user or bot."""
    system_roles: tuple[SystemRole, ...]
    """The services of the process, on Instance certificates only."""
    not_before: datetime
    not_after: datetime
    serial: int
    issuer_key_id: str
    """The signing CA's key identifier, in hexadecimal digits."""
    fingerprint: str
    """The SHA-256 of the whole certificate, in hexadecimal digits."""
    instance_id: str = ""
    """Which instance of a bot."""
    pod_uid: str = ""
    """The pod to whose life the identity is bound, if it is bound to one."""


def certificate_fingerprint(der: bytes) -> str:
    """Return the SHA-256 of a certificate in hexadecimal digits."""
    return hashlib.sha256(der).hexdigest()


def parse_leaf(der: bytes) -> LeafIdentity:
    """Return the identity that a certificate states; its signature is not looked at.

    Raises:
        AccessDenied: malformed, or anything in it is other than in the certificates that we sign.
    """
    try:
        statement = parse_statement(der)
        template = _parse_template(statement)
    except BadParameter as error:
        raise AccessDenied(f"the certificate is not an identity of this kind of cluster: {error.message}") from error
    kind, name, instance_id = _describe(template)
    return LeafIdentity(
        kind=kind,
        name=name,
        common_name=dict(statement.subject)[COMMON_NAME],
        cluster_name=template.cluster_name,
        roles=tuple(value for oid, value in statement.subject if oid == ORGANIZATION),
        system_roles=template.system_roles if isinstance(template, HostTemplate) else (),
        not_before=statement.not_before,
        not_after=statement.not_after,
        serial=statement.serial,
        issuer_key_id=statement.issuer_key_id.hex(),
        fingerprint=certificate_fingerprint(der),
        instance_id=instance_id,
        pod_uid="" if isinstance(template, UserTemplate) else template.pod_uid,
    )


def _describe(template: Template) -> tuple[LeafKind, str, str]:
    match template:
        case HostTemplate():
            return LeafKind.HOST, template.host_id, ""
        case BotTemplate():
            return LeafKind.BOT, template.bot_name, template.instance_id
        case UserTemplate():
            return LeafKind.USER, template.user, ""


def _parse_template(statement: Statement) -> Template:
    """Return the template that the certificate was signed from: what we would not write like this is not ours."""
    values: dict[str, list[str]] = {}
    for oid, value in statement.subject:
        values.setdefault(oid, []).append(value)
    try:
        template = _guess_template(statement, values)
    except (KeyError, ValueError) as error:
        raise BadParameter("its subject lacks an attribute, or names an unknown role") from error
    found = (statement.subject, statement.is_server, statement.dns_names, statement.ip_addresses)
    if found != (template.subject, template.is_server, template.dns_names, template.ip_addresses):
        raise BadParameter("its subject, names and usage do not go together")
    return template


def _guess_template(statement: Statement, values: dict[str, list[str]]) -> Template:
    """Return the template of the kind that the subject's marks tell; the caller compares."""
    cluster_name, common_name = values[CLUSTER_NAME][0], values[COMMON_NAME][0]
    times = {"not_before": statement.not_before, "not_after": statement.not_after}
    pod_uid = values.get(POD_UID, [""])[0]
    if USER_TYPE not in values:
        return HostTemplate(
            cluster_name=cluster_name,
            host_id=common_name.removesuffix(f".{cluster_name}"),
            role=SystemRole(values[ORGANIZATION][0]),
            system_roles=tuple(SystemRole(role) for role in values.get(SYSTEM_ROLE, ())),
            dns_names=statement.dns_names,
            ip_addresses=statement.ip_addresses,
            pod_uid=pod_uid,
            **times,
        )
    if BOT_NAME in values:
        return BotTemplate(
            cluster_name=cluster_name,
            bot_name=values[BOT_NAME][0],
            instance_id=values[BOT_INSTANCE][0],
            pod_uid=pod_uid,
            **times,
        )
    return UserTemplate(cluster_name=cluster_name, user=common_name, roles=tuple(values[ORGANIZATION]), **times)


@dataclass(frozen=True, slots=True)
class _Good:
    """A leaf whose signature was verified, and the time in which both it and its CA are valid."""

    not_before: datetime
    not_after: datetime


class TrustSet:
    """CA certificates whose leaves are accepted; a leaf must be signed by one of them directly.

    Args:
        certificates_pem: the CA certificates, one in each PEM text.

    Raises:
        BadParameter: one of them is not a CA certificate.
    """

    def __init__(self, certificates_pem: Sequence[str]) -> None:
        self._authorities = {authority.key_id: authority for authority in map(parse_ca_certificate, certificates_pem)}
        self._remembered: dict[str, _Good] = {}

    def is_trusted_issuer(self, key_id: str) -> bool:
        """Tell whether one of the CAs has this key identifier, given in hexadecimal digits."""
        return key_id in {known.hex() for known in self._authorities}

    def check_issued(self, der: bytes, now: datetime) -> None:
        """Refuse a leaf that none of the CAs signed, that is of another cluster than its CA, or whose time is not now.

        The signature of a leaf is verified once; the times are looked at every time.

        Raises:
            AccessDenied: says which.
        """
        fingerprint = certificate_fingerprint(der)
        good = self._remembered.get(fingerprint)
        if good is None:
            good = self._verify(der)
            self._remember(fingerprint, good)
        if now < good.not_before:
            raise AccessDenied("the certificate is not valid yet; compare the clocks of the two machines")
        if now > good.not_after:
            raise AccessDenied("the certificate has expired; join again")

    def _verify(self, der: bytes) -> _Good:
        leaf = parse_leaf(der)
        authority = self._authorities.get(bytes.fromhex(leaf.issuer_key_id))
        if authority is None:
            raise AccessDenied(
                "the certificate is signed by no trusted CA; was the CA rotated, or is it of another cluster?"
            )
        check_signed_by(der, leaf, authority)
        return _Good(max(leaf.not_before, authority.not_before), min(leaf.not_after, authority.not_after))

    def _remember(self, fingerprint: str, good: _Good) -> None:
        """Keep what was learned; the oldest goes when there is too much of it."""
        while len(self._remembered) >= MAX_REMEMBERED:
            del self._remembered[next(iter(self._remembered))]
        self._remembered[fingerprint] = good


def check_signed_by(der: bytes, leaf: LeafIdentity, authority: CaCertificate) -> None:
    """Refuse a leaf that the CA did not sign, or that names another cluster than the CA.

    Raises:
        AccessDenied: says which.
    """
    certificate, _ = parse_certificate(der)
    try:
        authority.check_signed(certificate)
    except TrustError as error:
        raise AccessDenied(error.message) from error
    if leaf.cluster_name != authority.cluster_name:
        raise AccessDenied(
            f"the certificate is for cluster {leaf.cluster_name!r}, its CA for {authority.cluster_name!r}"
        )
