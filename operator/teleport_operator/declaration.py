"""What an object declares, after reading: frozen records without anything raw in them."""

import hashlib
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from teleport.resources.token import DEFAULT_TTL, Token

GROUP = "resources.teleport.dev"
VERSION = "v2"
API_VERSION = f"{GROUP}/{VERSION}"
KIND = "TeleportProvisionToken"
PLURAL = "teleportprovisiontokens"
FINALIZER = "resources.teleport.dev/deletion"


class Annotation(StrEnum):
    """The annotations that the operator looks at."""

    KEEP = "teleport.dev/keep"
    """Let the token live when the object is deleted."""
    IGNORE = "teleport.dev/ignore"
    """Change nothing in the cluster for this object."""
    DESCRIPTION = "description"
    """Becomes the token's description."""
    EXPIRES = "resources.teleport.dev/expires"
    """Another spelling of `spec.expires`."""
    ROTATE = "resources.teleport.dev/rotate"
    """A new value asks for a new secret."""
    RECONCILE_AT = "resources.teleport.dev/reconcile-at"
    """A new value asks for a look at the object now."""
    LAST_APPLIED = "kubectl.kubernetes.io/last-applied-configuration"
    """What `kubectl apply` was given, fields included that the API server dropped."""


class DeletionPolicy(StrEnum):
    """What becomes of the token when the object is deleted."""

    DELETE = "Delete"
    ORPHAN = "Orphan"


class DriftPolicy(StrEnum):
    """What happens when the token is not what the object says."""

    REPAIR = "Repair"
    REPORT = "Report"
    NONE = "None"


class AdoptionPolicy(StrEnum):
    """What happens when there is a token of that name which this object did not make."""

    NEVER = "Never"
    IF_IDENTICAL = "IfIdentical"
    ALWAYS = "Always"


@dataclass(frozen=True, slots=True)
class Head:
    """What is known of an object whether or not its spec can be read."""

    namespace: str
    name: str = field(repr=False)
    """Not shown, since it may be the secret."""
    uid: str
    generation: int
    resource_version: str
    created: datetime
    deleting_since: datetime | None
    finalizers: tuple[str, ...]
    keep: bool
    """Annotation `teleport.dev/keep`, as Go reads booleans: what is none counts as false."""
    ignore: bool
    """Annotation `teleport.dev/ignore`, read likewise."""
    deletion_policy: DeletionPolicy
    """`Orphan` also where the spec names a policy that is not known: in doubt nothing is deleted."""
    rotate: str
    """Value of the annotation `resources.teleport.dev/rotate`, or nothing."""
    reconcile_at: str
    """Value of the annotation `resources.teleport.dev/reconcile-at`, or nothing."""

    @property
    def orphans(self) -> bool:
        """Tell whether the token stays when the object goes."""
        return self.keep or self.deletion_policy is DeletionPolicy.ORPHAN


class ExpirySource(StrEnum):
    """Which input says when the token ends; goes into `status.expiresFrom`."""

    EXPIRES = "spec.expires"
    TTL = "spec.ttl"
    ANNOTATION = "annotation"
    METADATA = "metadata.expires"
    """Dropped by the API server, and still to be found in what `kubectl apply` noted."""
    DEFAULT = "default"
    """A secret token to which nobody gave a life."""
    NEVER = "never"


@dataclass(frozen=True, slots=True)
class ExpiryRule:
    """When the token ends: at a moment, or so long after the rule was first seen, or never."""

    source: ExpirySource
    at: datetime | None = None
    ttl: timedelta | None = None

    @property
    def fingerprint(self) -> str:
        """Return what changes if and only if the rule does; a relative one is anchored once for each."""
        return hashlib.sha256(f"{self.source}|{self.at}|{self.ttl}".encode()).hexdigest()[:16]

    def resolve(self, anchor: datetime) -> datetime | None:
        """Return the moment, where a relative rule was first seen at `anchor`; None is never."""
        return self.at if self.ttl is None else anchor + self.ttl


NEVER = ExpiryRule(ExpirySource.NEVER)
BY_DEFAULT = ExpiryRule(ExpirySource.DEFAULT, ttl=DEFAULT_TTL)


@dataclass(frozen=True, slots=True)
class SecretSource:
    """A key of a Secret in the object's namespace."""

    name: str
    key: str


@dataclass(frozen=True, slots=True)
class SecretRule:
    """`spec.secret`: where a secret token's value comes from, and where it is delivered."""

    name: str
    """Of the Secret that the operator owns and writes."""
    source: SecretSource | None
    """Where the value is read instead of being made."""
    rotate_every: timedelta | None
    overlap: timedelta
    """How long the former value still works after a rotation."""


class NoteReason(StrEnum):
    """Why somebody should look at an object that is all right; goes into Events."""

    NAME_IS_SECRET = "NameIsSecret"  # noqa: S105 - a reason's name
    EXPIRES_FROM_METADATA = "ExpiresFromMetadata"
    UNUSED_SECTION = "UnusedSection"


@dataclass(frozen=True, slots=True)
class Note:
    """What somebody should know of an object that is all right."""

    reason: NoteReason
    message: str


@dataclass(frozen=True, slots=True)
class Declaration:
    """A token as an object declares it."""

    head: Head
    token: Token = field(repr=False)
    """Without `expires`; without a name where `secret` says that the value is made or read. The method is filled in."""
    expiry: ExpiryRule
    secret: SecretRule | None
    drift_policy: DriftPolicy
    adoption_policy: AdoptionPolicy
    notes: tuple[Note, ...] = ()

    @property
    def name_is_secret(self) -> bool:
        """Tell whether the object's name lets whoever reads it join."""
        return self.token.is_secret and self.secret is None

    def build_token(self, *, expires: datetime | None, name: str | None = None) -> Token:
        """Return the token as it should be in the store; `name` is a secret's value."""
        return self.token.with_metadata(name=self.token.name if name is None else name, expires=expires)
