"""Every error raised on purpose; each class carries a stable code that clients may rely on.

A new class is made only where somebody catches it, or where a client must be able to tell it apart.
Messages are lower case, name the thing and, where that is known, what to do. They never contain a secret.
"""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from types import MappingProxyType
from typing import Any, ClassVar


class TeleportError(Exception):
    """The root of all errors raised on purpose."""

    code: ClassVar[str] = "internal"

    @property
    def message(self) -> str:
        """Return the text that a person reads."""
        return str(self)


class BadParameter(TeleportError):
    """A value is missing, malformed or outside its bounds."""

    code = "bad_parameter"


class TooLarge(BadParameter):
    """An input is larger than the limit that is stated in the message."""

    code = "too_large"


class BadConfiguration(BadParameter):
    """The configuration has one or more problems; each is a sentence that starts with its line."""

    def __init__(self, problems: Sequence[str]) -> None:
        super().__init__("; ".join(problems))
        self.problems = tuple(problems)


class Unauthenticated(TeleportError):
    """The caller showed no certificate where one is needed."""

    code = "unauthenticated"


class AccessDenied(TeleportError):
    """The caller is known, or claims to be, and may not do this."""

    code = "access_denied"


class JoinRefused(AccessDenied):
    """A join is refused; the caller learns the code and a short phrase, log and audit learn the reason.

    Args:
        reason: machine-readable and stable, as `token_expired`; goes to log, audit and metrics.
        detail: one sentence for the cluster's operator, without secrets.
        public: what the caller is told.
        attributes: what the caller's proof says, for the audit log; nobody may have vouched for it.
    """

    code = "join_refused"
    PUBLIC: ClassVar[str] = "the token is expired or not found, or does not admit this role"

    def __init__(
        self, reason: str, detail: str, public: str = PUBLIC, attributes: Mapping[str, Any] = MappingProxyType({})
    ) -> None:
        super().__init__(public)
        self.reason = reason
        self.detail = detail
        self.attributes = attributes


class MembershipEnded(AccessDenied):
    """The life to which the caller's membership was bound is over; its certificates count for nothing any more."""

    code = "membership_ended"


class NotFound(TeleportError):
    """The named thing does not exist."""

    code = "not_found"


class AlreadyExists(TeleportError):
    """The name is taken."""

    code = "already_exists"


class CompareFailed(TeleportError):
    """The thing changed since it was read; read it again and retry."""

    code = "compare_failed"


class LimitExceeded(TeleportError):
    """The caller asks too often or too much; it may try again after `retry_after`."""

    code = "limit_exceeded"

    def __init__(self, message: str, retry_after: timedelta = timedelta(seconds=60)) -> None:
        super().__init__(message)
        self.retry_after = retry_after


class NotSupported(TeleportError):
    """The original knows this, and this cluster does not implement it."""

    code = "not_supported"


class VersionRefused(TeleportError):
    """Client and cluster are too many major versions apart; trying again does not help."""

    code = "version"


class Unavailable(TeleportError):
    """Something that is needed does not answer at present; the same request may succeed after `retry_after`.

    Log, audit and metrics learn more than the caller: the `reason` of the class, and the `detail`.
    """

    code = "unavailable"
    reason: ClassVar[str] = "unavailable"

    def __init__(self, message: str, retry_after: timedelta = timedelta(seconds=5)) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.detail = message


class ConnectionFailed(TeleportError):
    """The other side could not be reached, or the connection broke before it answered."""

    code = "connection_failed"


class TrustError(TeleportError):
    """The other side could not prove that it is who we want to talk to; nothing secret was sent to it."""

    code = "trust"


class SealError(TeleportError):
    """A sealed value cannot be opened: the seal key is missing, wrong, or the value was changed."""

    code = "seal"


class StorageError(TeleportError):
    """The store is damaged, full, locked or unreadable."""

    code = "storage"
