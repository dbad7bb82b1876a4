"""Who the auth server is towards its clients, and the identity by which `tctl` works on the auth host."""

import ssl
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from teleport.api.identity import Identity, render_identity_file
from teleport.auth.authority import Authority, CertifiedKeys, HostGrant
from teleport.pki.csr import build_csr, parse_csr
from teleport.pki.keys import (
    generate_private_key,
    generate_ssh_private_key,
    private_key_to_pem,
    ssh_private_key_to_pem,
    ssh_public_key_line,
)
from teleport.pki.ssh import parse_ssh_public_key
from teleport.private_file import write_private_file
from teleport.resources.authority import AuthorityType
from teleport.resources.role import SystemRole
from teleport.web.tls import ALPN, build_server_context

RENEWAL = timedelta(hours=8)
"""How often the server's own certificate and the administrator's identity are made anew."""
LIFE = timedelta(hours=24)


class ServerIdentity:
    """The server's TLS key, which never leaves memory, and the context that new connections get.

    Args:
        authority: signs the server's certificate, and says whose client certificates are good.
        host_id: of this host.
        names: host names and addresses by which clients may know this server.
        protocols: what may run inside its connections (ALPN).
    """

    def __init__(
        self, *, authority: Authority, host_id: str, names: Sequence[str], protocols: Sequence[str] = (ALPN,)
    ) -> None:
        self._authority = authority
        self._host_id = host_id
        self._names = tuple(names)
        self._protocols = tuple(protocols)
        self._private_key = generate_private_key()
        self._csr = parse_csr(build_csr(self._private_key, "auth"))
        authority.reserve_key(self._csr.fingerprint)
        self._ssh = parse_ssh_public_key(ssh_public_key_line(generate_ssh_private_key()))
        self.renew()

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection."""
        return self._context

    def renew(self) -> None:
        """Get a new certificate, and trust what the authorities trust now."""
        grant = HostGrant(
            host_id=self._host_id, role=SystemRole.AUTH, additional_principals=self._names, remote_addr="127.0.0.1"
        )
        issued = self._authority.issue_host(grant, CertifiedKeys(csr=self._csr, ssh=self._ssh), LIFE)
        trusted = self._authority.trust_bundle.tls
        self._context = build_server_context(
            # With its CA beside it, OpenSSL does not look for the issuer anew in every handshake.
            certificate_pem_chain=issued.certificates.tls_certificate + trusted[AuthorityType.HOST][0],
            private_key_pem=private_key_to_pem(self._private_key),
            client_ca_pems=[*trusted[AuthorityType.HOST], *trusted[AuthorityType.USER]],
            protocols=self._protocols,
        )


def store_admin_identity(path: Path, authority: Authority, host_id: str) -> None:
    """Write the identity that `tctl` uses on the auth host; whoever may read the data directory may administer."""
    key, ssh_key = generate_private_key(), generate_ssh_private_key()
    keys = CertifiedKeys(csr=parse_csr(build_csr(key, "admin")), ssh=parse_ssh_public_key(ssh_public_key_line(ssh_key)))
    issued = authority.issue_host(HostGrant(host_id=host_id, role=SystemRole.ADMIN), keys, LIFE)
    trust = authority.trust_bundle
    identity = Identity(
        tls_key=private_key_to_pem(key),
        tls_certificate=issued.certificates.tls_certificate,
        ssh_key=ssh_private_key_to_pem(ssh_key),
        ssh_certificate=issued.certificates.ssh_certificate,
        host_ca_certificates=trust.tls[AuthorityType.HOST],
        ssh_ca_keys=trust.ssh[AuthorityType.HOST],
    )
    write_private_file(path, render_identity_file(identity).encode())
