"""The cluster's signing hand: what is signed for whom, and what everybody may trust.

A certificate is made in three steps: a template says what it states, the authority signs it, and a profile check
compares the result with the template before it leaves. Changed authorities take effect without a restart.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from teleport.api.messages import Certificates, TrustBundle
from teleport.clock import Clock
from teleport.errors import BadParameter
from teleport.pki.authority import IssuedCertificate, TlsSigner
from teleport.pki.csr import VerifiedCsr
from teleport.pki.jwt_signing import JwtSigner
from teleport.pki.keys import public_key_fingerprint
from teleport.pki.leaf import TrustSet
from teleport.pki.pins import ca_pin
from teleport.pki.profile import check_certificate
from teleport.pki.ssh import SshPublicKey, SshSigner, build_host_principals, parse_ssh_public_key
from teleport.pki.templates import BotTemplate, HostTemplate, Template, UserTemplate, build_host_names
from teleport.resources.authority import AuthorityType, CertAuthority
from teleport.resources.role import SystemRole

BACKDATE = timedelta(minutes=1)
"""Certificates begin a minute ago, for hosts whose clocks are behind."""
BOT_CERT_TTL = timedelta(hours=1)
MAX_BOT_CERT_TTL = timedelta(days=7)


@dataclass(frozen=True, slots=True)
class CertifiedKeys:
    """The two public keys of one identity, both checked."""

    csr: VerifiedCsr
    ssh: SshPublicKey


@dataclass(frozen=True, slots=True)
class HostGrant:
    """What auth decided that a host's certificates shall state."""

    host_id: str
    role: SystemRole
    system_roles: tuple[SystemRole, ...] = ()
    """The services that an Instance certificate covers; empty for every other role."""
    node_name: str = ""
    additional_principals: tuple[str, ...] = ()
    dns_names: tuple[str, ...] = ()
    remote_addr: str = ""
    pod_uid: str = ""
    """The pod to whose life the certificates are bound, if they are."""


@dataclass(frozen=True, slots=True)
class Issued:
    """Certificates, and what the audit log says of them."""

    certificates: Certificates
    serial: str
    not_after: datetime


class Authority:
    """Signs for the cluster with the active keys, and tells what is trusted.

    Args:
        cluster_name: stands in every certificate.
        authorities: the cluster's authorities, private keys included.
        host_cert_ttl: life of a host certificate; it never ends after its CA.
        clock: when certificates begin.
    """

    def __init__(
        self,
        *,
        cluster_name: str,
        authorities: Mapping[AuthorityType, CertAuthority],
        host_cert_ttl: timedelta,
        clock: Clock,
    ) -> None:
        self.cluster_name = cluster_name
        self._host_cert_ttl = host_cert_ttl
        self._clock = clock
        self._servers_keys: frozenset[str] = frozenset()
        self.replace(authorities)

    def replace(self, authorities: Mapping[AuthorityType, CertAuthority]) -> None:
        """Sign and trust by these authorities from now on."""
        host, user = authorities[AuthorityType.HOST], authorities[AuthorityType.USER]
        self._host_tls = TlsSigner(host.spec.active_keys.tls[0])
        self._host_ssh = SshSigner(host.spec.active_keys.ssh[0])
        self._user_tls = TlsSigner(user.spec.active_keys.tls[0])
        self._user_ssh = SshSigner(user.spec.active_keys.ssh[0])
        jwt = authorities[AuthorityType.JWT].spec.active_keys.jwt[0]
        self._jwt = JwtSigner(public_key=jwt.public_key, private_key=jwt.private_key)
        self.trusted_hosts = TrustSet(host.trusted_tls)
        self.trusted_users = TrustSet(user.trusted_tls)
        self.trust_bundle = _build_bundle(self.cluster_name, authorities)
        self._authorities_keys = _list_keys(self.trust_bundle)

    def reserve_key(self, fingerprint: str) -> None:
        """Keep a key of the auth server itself from being certified for anybody else."""
        self._servers_keys |= {fingerprint}

    @property
    def reserved_keys(self) -> frozenset[str]:
        """Return the fingerprints of the cluster's own keys: nobody who asks gets a certificate for one of them."""
        return self._authorities_keys | self._servers_keys

    @property
    def host_ca_certificates(self) -> tuple[str, ...]:
        """Return every trusted host CA certificate; all of them must match a CA pin."""
        return self.trust_bundle.tls[AuthorityType.HOST]

    def issue_host(self, grant: HostGrant, keys: CertifiedKeys, ttl: timedelta | None = None) -> Issued:
        """Sign what a host was granted, for the configured life or a shorter one.

        Raises:
            BadParameter: a requested name is not one that its role may have.
        """
        now = self._clock.now()
        dns_names, ip_addresses = build_host_names(
            grant.role,
            cluster_name=self.cluster_name,
            host_id=grant.host_id,
            additional_principals=grant.additional_principals,
            requested_dns_names=grant.dns_names,
            remote_addr=grant.remote_addr,
        )
        template = HostTemplate(
            cluster_name=self.cluster_name,
            host_id=grant.host_id,
            role=grant.role,
            system_roles=grant.system_roles,
            dns_names=dns_names,
            ip_addresses=ip_addresses,
            not_before=now - BACKDATE,
            not_after=now + (ttl or self._host_cert_ttl),
            pod_uid=grant.pod_uid,
        )
        tls = _sign(self._host_tls, template, keys)
        principals = build_host_principals(
            grant.host_id,
            grant.node_name,
            self.cluster_name,
            grant.additional_principals,
            remote_addr=grant.remote_addr,
        )
        ssh = self._host_ssh.sign_host(
            keys.ssh,
            cluster_name=self.cluster_name,
            host_id=grant.host_id,
            role=grant.role,
            principals=principals if grant.role is not SystemRole.ADMIN else (grant.host_id,),
            not_before=template.not_before,
            not_after=tls.not_after,
        )
        return _issued(grant.role, tls, ssh)

    def issue_bot(
        self, *, bot_name: str, instance_id: str, keys: CertifiedKeys, expires: datetime | None, pod_uid: str = ""
    ) -> Issued:
        """Sign a bot's certificates: an hour, or until `expires` and no longer than a week.

        Raises:
            BadParameter: `expires` is not in the future.
        """
        now = self._clock.now()
        if expires is not None and expires <= now:
            raise BadParameter("expires must be in the future")
        not_after = min(expires, now + MAX_BOT_CERT_TTL) if expires else now + BOT_CERT_TTL
        template = BotTemplate(
            cluster_name=self.cluster_name,
            bot_name=bot_name,
            instance_id=instance_id,
            not_before=now - BACKDATE,
            not_after=not_after,
            pod_uid=pod_uid,
        )
        return self._issue_user(template, f"bot-{bot_name}", keys, SystemRole.BOT)

    def issue_user(self, *, user: str, roles: tuple[str, ...], ttl: timedelta, keys: CertifiedKeys) -> Issued:
        """Sign an identity for a person or a script."""
        now = self._clock.now()
        template = UserTemplate(
            cluster_name=self.cluster_name, user=user, roles=roles, not_before=now - BACKDATE, not_after=now + ttl
        )
        return self._issue_user(template, user, keys, SystemRole.NOP)

    def sign_assertion(
        self,
        *,
        user: str,
        roles: tuple[str, ...],
        traits: Mapping[str, tuple[str, ...]],
        audiences: tuple[str, ...],
        not_before: datetime,
        expires: datetime,
    ) -> str:
        """Sign who opens an application, as a JSON web token (RFC 7519)."""
        begin = int(not_before.timestamp())
        claims = {
            "iss": self.cluster_name,
            "sub": user,
            "username": user,
            "roles": roles,
            "traits": traits,
            "aud": audiences,
            "nbf": begin,
            "iat": begin,
            "exp": int(expires.timestamp()),
        }
        return self._jwt.sign(claims)

    def _issue_user(
        self, template: BotTemplate | UserTemplate, user: str, keys: CertifiedKeys, role: SystemRole
    ) -> Issued:
        tls = _sign(self._user_tls, template, keys)
        ssh = self._user_ssh.sign_user(
            keys.ssh,
            cluster_name=self.cluster_name,
            user=user,
            principals=(user,),
            not_before=template.not_before,
            not_after=tls.not_after,
        )
        return _issued(role, tls, ssh)


def _sign(signer: TlsSigner, template: Template, keys: CertifiedKeys) -> IssuedCertificate:
    certificate = signer.sign(template, keys.csr.public_key)
    check_certificate(certificate, template, signer, keys.csr.public_key)
    return certificate


def _issued(role: SystemRole, tls: IssuedCertificate, ssh: str) -> Issued:
    certificates = Certificates(role=role, tls_certificate=tls.pem, ssh_certificate=ssh)
    return Issued(certificates, serial=format(tls.serial, "x"), not_after=tls.not_after)


def _list_keys(bundle: TrustBundle) -> frozenset[str]:
    """Return the fingerprints of all authorities' keys."""
    tls = (ca_pin(certificate).removeprefix("sha256:") for chain in bundle.tls.values() for certificate in chain)
    ssh = (public_key_fingerprint(parse_ssh_public_key(line)) for lines in bundle.ssh.values() for line in lines)
    return frozenset((*tls, *ssh))


def _build_bundle(cluster_name: str, authorities: Mapping[AuthorityType, CertAuthority]) -> TrustBundle:
    tls = {kind.value: authority.trusted_tls for kind, authority in sorted(authorities.items())}
    ssh = {kind.value: authority.trusted_ssh for kind, authority in sorted(authorities.items())}
    jwt = {
        kind.value: authority.trusted_jwt for kind, authority in sorted(authorities.items()) if authority.trusted_jwt
    }
    revision = hashlib.sha256(repr((cluster_name, tls, ssh, jwt)).encode()).hexdigest()[:32]
    return TrustBundle(revision=revision, cluster_name=cluster_name, tls=tls, ssh=ssh, jwt=jwt)
