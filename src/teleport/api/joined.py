"""Whoever joins: its keys, and what it got for them; agents and the operator are alike in this."""

from pydantic import Field

from teleport.api.identity import Identity
from teleport.api.messages import Certificates, JoinResponse, Pem, PublicKeys, TrustBundle
from teleport.pki.csr import build_csr
from teleport.pki.keys import (
    generate_private_key,
    generate_ssh_private_key,
    load_private_key,
    load_ssh_private_key,
    private_key_to_pem,
    ssh_private_key_to_pem,
    ssh_public_key_line,
)
from teleport.resources.authority import AuthorityType
from teleport.resources.model import Model
from teleport.resources.role import SystemRole


class Keys(Model):
    """The private keys of one identity, as PEM."""

    tls_key: Pem = Field(repr=False)
    ssh_key: Pem = Field(repr=False)

    def build_public_keys(self, name: str) -> PublicKeys:
        """Return what auth needs to certify them."""
        return PublicKeys(
            csr=build_csr(load_private_key(self.tls_key), name),
            ssh_public_key=ssh_public_key_line(load_ssh_private_key(self.ssh_key)),
        )


def generate_keys() -> Keys:
    """Make new keys."""
    return Keys(
        tls_key=private_key_to_pem(generate_private_key()), ssh_key=ssh_private_key_to_pem(generate_ssh_private_key())
    )


class Joined(Model):
    """What a joined process is: its keys and certificates, by role, and whom it trusts."""

    host_id: str
    trust: TrustBundle
    keys: dict[SystemRole, Keys]
    certificates: dict[SystemRole, Certificates]

    def identity(self, role: SystemRole) -> Identity:
        """Return the identity for a role that the process has certificates for."""
        return Identity(
            tls_key=self.keys[role].tls_key,
            tls_certificate=self.certificates[role].tls_certificate,
            ssh_key=self.keys[role].ssh_key,
            ssh_certificate=self.certificates[role].ssh_certificate,
            host_ca_certificates=self.trust.tls[AuthorityType.HOST],
            ssh_ca_keys=self.trust.ssh[AuthorityType.HOST],
        )

    def with_certificates(self, keys: Keys, certificates: Certificates) -> "Joined":
        """Return the same process with certificates of one role added or renewed."""
        role = certificates.role
        return self.model_copy(
            update={
                "keys": {**self.keys, role: keys},
                "certificates": {**self.certificates, role: certificates},
            }
        )

    def with_trust(self, trust: TrustBundle) -> "Joined":
        """Return the same process that trusts something else."""
        return self.model_copy(update={"trust": trust})


def build_joined(keys: Keys, response: JoinResponse) -> Joined:
    """Return what a process is after its first join."""
    role = response.certificates.role
    return Joined(
        host_id=response.host_id, trust=response.trust, keys={role: keys}, certificates={role: response.certificates}
    )
