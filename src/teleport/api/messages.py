"""The bodies of requests and answers.

Every field has a bound, so that an input costs nothing before it is refused. Requests come from strangers:
their fields are unverified until auth has judged them.
"""

from typing import Annotated, Any

from pydantic import Field

from teleport.resources.model import Model, Time
from teleport.resources.role import SystemRole

Pem = Annotated[str, Field(max_length=16 * 1024)]
Line = Annotated[str, Field(max_length=4096)]
Name = Annotated[str, Field(max_length=1024, repr=False)]
"""Of a resource; not shown, since the name of a secret token is the secret."""
Document = dict[str, Any]
"""A resource as plain data; the codec judges it."""


class Empty(Model):
    """Nothing to say."""


class TrustResponse(Model):
    """What a stranger needs before it can verify this server: whom it trusts follows from the CA pin, not from here."""

    cluster_name: str
    server_version: str
    host_ca_certificates: tuple[Pem, ...]


class PublicKeys(Model):
    """A certificate request that proves possession of the TLS key, and the SSH public key to certify."""

    csr: Pem
    """PKCS #10 in PEM; only its key is used, names come from what auth decides."""
    ssh_public_key: Line
    """An authorized-keys line."""


class JoinRequest(Model):
    """A service asks to become part of the cluster."""

    token_name: Name
    join_method: Annotated[str, Field(max_length=64)] = ""
    """Empty leaves the choice to the token; another than the token's is refused."""
    role: Annotated[str, Field(max_length=64)] = SystemRole.INSTANCE
    node_name: Annotated[str, Field(max_length=256)] = ""
    keys: PublicKeys
    additional_principals: Annotated[tuple[Annotated[str, Field(max_length=256)], ...], Field(max_length=64)] = ()
    dns_names: Annotated[tuple[Annotated[str, Field(max_length=256)], ...], Field(max_length=64)] = ()
    expires: Time | None = None
    """Bots only: when the certificate shall end."""
    proof: Annotated[str, Field(max_length=64 * 1024, repr=False)] = ""
    """What the join method wants to see beside the token's name, for example a ServiceAccount token."""
    client_version: Annotated[str, Field(max_length=64)] = ""


class Certificates(Model):
    """One identity's certificates and whom it shall trust."""

    role: SystemRole
    tls_certificate: Pem
    ssh_certificate: Line


class TrustBundle(Model):
    """All that is trusted, by authority; `revision` changes whenever any of it does."""

    revision: str
    cluster_name: str
    tls: dict[str, tuple[Pem, ...]]
    """CA certificates by authority type."""
    ssh: dict[str, tuple[Line, ...]]
    """SSH CA keys by authority type."""
    jwt: dict[str, tuple[Pem, ...]] = Field(default_factory=dict)
    """Public keys by which JSON web tokens are verified, by authority type."""


class JoinResponse(Model):
    """The service is admitted."""

    host_id: str
    certificates: Certificates
    trust: TrustBundle


class HostCertificatesRequest(Model):
    """A joined process asks for certificates of its services, or anew for itself."""

    role: SystemRole
    keys: PublicKeys
    node_name: Annotated[str, Field(max_length=256)] = ""
    additional_principals: Annotated[tuple[Annotated[str, Field(max_length=256)], ...], Field(max_length=64)] = ()
    dns_names: Annotated[tuple[Annotated[str, Field(max_length=256)], ...], Field(max_length=64)] = ()


class UserCertificatesRequest(Model):
    """The administrator signs an identity file for a person or a script."""

    user: Name
    roles: Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(min_length=1, max_length=16)]
    keys: PublicKeys
    ttl_seconds: Annotated[int, Field(ge=60, le=10 * 365 * 24 * 3600)]


class UserCertificatesResponse(Model):
    """A signed user identity."""

    tls_certificate: Pem
    ssh_certificate: Line
    trust: TrustBundle


class TrustBundleRequest(Model):
    """Ask for the trust bundle, unless it is still the one that is known."""

    known_revision: Annotated[str, Field(max_length=128)] = ""


class TrustBundleResponse(Model):
    """The bundle, or nothing if the caller has it already."""

    bundle: TrustBundle | None = None


class PingResponse(Model):
    """Who answers."""

    cluster_name: str
    server_version: str
    auth_addresses: tuple[str, ...]
    proxy_addresses: tuple[str, ...]


class ResourceRequest(Model):
    """Create, update or upsert one resource."""

    resource: Document = Field(repr=False)


class ResourceResponse(Model):
    """One resource."""

    resource: Document = Field(repr=False)


class GetRequest(Model):
    """Read one resource by kind and name."""

    kind: Annotated[str, Field(max_length=64)]
    name: Name
    with_secrets: bool = False


class ListRequest(Model):
    """Read the resources of a kind, page by page."""

    kind: Annotated[str, Field(max_length=64)]
    with_secrets: bool = False
    page_size: Annotated[int, Field(ge=1, le=1000)] = 500
    page_token: Annotated[str, Field(max_length=1024)] = ""


class ListResponse(Model):
    """One page; an empty `next_page_token` means the last one."""

    resources: tuple[Document, ...] = Field(repr=False)
    next_page_token: str = ""


class DeleteRequest(Model):
    """Delete one resource by kind and name."""

    kind: Annotated[str, Field(max_length=64)]
    name: Name
    revision: Annotated[str, Field(max_length=64)] = ""
    """If given, only this revision is deleted."""


class DeleteResponse(Model):
    """What was deleted, as lists show it."""

    name: str


class TokenUsesRequest(Model):
    """Ask for a token's ledger."""

    name: Name
    limit: Annotated[int, Field(ge=1, le=1000)] = 100


class TokenUse(Model):
    """One judged use of a token."""

    time: Time
    host_id: str
    remote_addr: str
    role: str
    outcome: str
    """`success`, or the reason of the refusal."""
    subject: str = ""
    """Who the proof said it was, as `system:serviceaccount:NAMESPACE:NAME`; empty where it said nothing, or in vain."""


class TokenUsesResponse(Model):
    """A token's ledger, newest first."""

    name: str
    uses: tuple[TokenUse, ...]


class TokenChangesRequest(Model):
    """Ask which tokens have changed since an answer to the same question, and wait for a change if none has."""

    mark: Annotated[str, Field(max_length=128)] = ""
    """Of the last answer; empty asks for a mark alone."""
    wait_seconds: Annotated[int, Field(ge=0, le=25)] = 25


class GoneToken(Model):
    """A token that is gone, or has got other labels."""

    name: str
    """As lists show it."""
    labels: dict[str, str]
    """As they were."""
    revision: str
    """Of the change."""


class TokenChangesResponse(Model):
    """Tokens that changed, as lists show them now."""

    mark: str
    is_complete: bool = True
    """If false, nobody knows what changed before the mark: read the list."""
    tokens: tuple[Document, ...] = Field(default=(), repr=False)
    gone: tuple[GoneToken, ...] = ()


class HeartbeatRequest(Model):
    """A process says that it and its services are alive."""

    hostname: Annotated[str, Field(max_length=256)]
    version: Annotated[str, Field(max_length=64)]
    servers: Annotated[tuple[Document, ...], Field(max_length=1024)]
    """Every server record of the process; what is no longer among them vanishes."""
    process: Annotated[str, Field(max_length=64)] = ""
    """What this run of the process calls itself, unlike any other run of the same host."""


class GoodbyeRequest(Model):
    """A process says that it ends."""

    process: Annotated[str, Field(max_length=64)] = ""
    """As in its heartbeats; where a later run of the host has sent one, its records stay."""


class HeartbeatResponse(Model):
    """How long the records live, and which trust bundle is the present one."""

    ttl_seconds: int
    trust_revision: str


class EndedMembershipsRequest(Model):
    """Ask which of these pods live no longer, to which memberships are bound."""

    pod_uids: Annotated[tuple[Annotated[str, Field(max_length=128)], ...], Field(max_length=1000)]


class EndedMembershipsResponse(Model):
    """Those of them that nobody is bound to any more."""

    pod_uids: tuple[str, ...]


class ErrorBody(Model):
    """Why a request was refused."""

    code: str
    message: str


class ErrorResponse(Model):
    """The body of every answer that is not a success."""

    error: ErrorBody
