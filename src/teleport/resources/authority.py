"""Certificate authorities as resources: an active key set that signs, and further ones that are trusted as well.

Rotation changes which key set stands where; the shape stays as it is.
"""

from enum import StrEnum
from typing import Literal

from pydantic import Field

from teleport.resources.model import Metadata, Model, Resource, Time


class AuthorityType(StrEnum):
    """What an authority signs for; the value is the resource's sub-kind and the word in `tctl status`."""

    HOST = "host"
    USER = "user"
    DB = "db"
    OPENSSH = "openssh"
    JWT = "jwt"
    SAML_IDP = "saml_idp"


class TlsKeyPair(Model):
    """A self-signed CA certificate and, inside the auth server only, its key; both PEM."""

    certificate: str
    private_key: str = Field(default="", repr=False)


class SshKeyPair(Model):
    """An SSH CA key: the public half as an authorized-keys line, the private half as OpenSSH PEM."""

    public_key: str
    private_key: str = Field(default="", repr=False)


class JwtKeyPair(Model):
    """A key that signs JSON web tokens; both halves PEM."""

    public_key: str
    private_key: str = Field(default="", repr=False)


class KeySet(Model):
    """The keys of one generation of an authority; which kinds it has depends on the authority's type."""

    tls: tuple[TlsKeyPair, ...] = ()
    ssh: tuple[SshKeyPair, ...] = ()
    jwt: tuple[JwtKeyPair, ...] = ()

    def without_private_keys(self) -> "KeySet":
        """Return what those who trust this authority need."""
        return KeySet(
            tls=tuple(TlsKeyPair(certificate=pair.certificate) for pair in self.tls),
            ssh=tuple(SshKeyPair(public_key=pair.public_key) for pair in self.ssh),
            jwt=tuple(JwtKeyPair(public_key=pair.public_key) for pair in self.jwt),
        )


class Rotation(Model):
    """Where a rotation stands."""

    state: Literal["standby", "in_progress"] = "standby"
    phase: Literal["standby", "init", "update_clients", "update_servers", "rollback"] = "standby"
    last_rotated: Time | None = None


class AuthoritySpec(Model):
    """The keys; private halves never leave the auth server."""

    cluster_name: str
    active_keys: KeySet
    additional_trusted_keys: KeySet = Field(default_factory=KeySet)
    rotation: Rotation = Field(default_factory=Rotation)


class CertAuthority(Resource):
    """One authority of the cluster; its name is the cluster's, its sub-kind the type."""

    kind: Literal["cert_authority"] = "cert_authority"
    version: Literal["v2"] = "v2"
    metadata: Metadata
    spec: AuthoritySpec

    @property
    def type(self) -> AuthorityType:
        """Return what this authority signs for."""
        return AuthorityType(self.sub_kind)

    @property
    def trusted_tls(self) -> tuple[str, ...]:
        """Return every CA certificate that is trusted, the signing one first, as PEM."""
        sets = (self.spec.active_keys, self.spec.additional_trusted_keys)
        return tuple(pair.certificate for keys in sets for pair in keys.tls)

    @property
    def trusted_ssh(self) -> tuple[str, ...]:
        """Return every SSH CA key that is trusted, the signing one first, as authorized-keys lines."""
        sets = (self.spec.active_keys, self.spec.additional_trusted_keys)
        return tuple(pair.public_key for keys in sets for pair in keys.ssh)

    @property
    def trusted_jwt(self) -> tuple[str, ...]:
        """Return every public key of JSON web tokens that is trusted, the signing one first, as PEM."""
        sets = (self.spec.active_keys, self.spec.additional_trusted_keys)
        return tuple(pair.public_key for keys in sets for pair in keys.jwt)

    def without_private_keys(self) -> "CertAuthority":
        """Return the authority as everybody but the auth server sees it."""
        spec = self.spec.model_copy(
            update={
                "active_keys": self.spec.active_keys.without_private_keys(),
                "additional_trusted_keys": self.spec.additional_trusted_keys.without_private_keys(),
            }
        )
        return self.model_copy(update={"spec": spec})
