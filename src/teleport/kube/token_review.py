"""What a TokenReview's answer means: a ladder of checks, one refusal a rung, without any I/O.

The API server vouches for more than may join: for users, for tokens that are bound to no pod, and, if it is too old to
know audiences, for tokens that were meant for somebody else. Refusing those is up to us.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from teleport.errors import JoinRefused

USERNAME_PREFIX = "system:serviceaccount:"
GROUP = "system:serviceaccounts"
POD_NAME = "authentication.kubernetes.io/pod-name"
POD_UID = "authentication.kubernetes.io/pod-uid"
NODE_NAME = "authentication.kubernetes.io/node-name"
CREDENTIAL_ID = "authentication.kubernetes.io/credential-id"

_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
_REASONS = (
    ("target audiences", "wrong_audience"),
    ("has expired", "token_expired"),
    ("service account token has been invalidated", "pod_gone"),
    ("pod UID", "pod_uid_mismatch"),
    ("service account UID", "service_account_recreated"),
    ('serviceaccounts "', "service_account_gone"),
)
"""Texts of the API server, and the reason that they are; any other is `not_authenticated`."""


@dataclass(frozen=True, slots=True)
class ReviewStatus:
    """The status of a TokenReview as it was answered."""

    authenticated: bool = False
    username: str = ""
    uid: str = ""
    groups: tuple[str, ...] = ()
    extra: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    audiences: tuple[str, ...] = ()
    error: str = ""


@dataclass(frozen=True, slots=True)
class BoundServiceAccount:
    """A ServiceAccount and the pod that speaks for it, both vouched for by the API server."""

    namespace: str
    name: str
    uid: str
    pod_name: str
    pod_uid: str
    audiences: tuple[str, ...]


def parse_status(status: ReviewStatus, asked_audiences: Sequence[str]) -> BoundServiceAccount:
    """Return whom the API server vouched for.

    Raises:
        JoinRefused: it did not, or vouched for something that may not join.
    """
    if not status.authenticated:
        raise JoinRefused(
            _find_reason(status.error), f"Kubernetes refused the token: {status.error or 'no reason given'}"
        )
    if not set(status.audiences) & set(asked_audiences):
        raise JoinRefused(
            "audience_not_confirmed", f"the API server confirmed none of the audiences {list(asked_audiences)}"
        )
    namespace, name = parse_username(status.username)
    if not {GROUP, f"{GROUP}:{namespace}"} <= set(status.groups):
        raise JoinRefused("wrong_groups", f"{status.username} is not in the groups of ServiceAccounts")
    if not status.extra:
        raise JoinRefused(
            "legacy_token", "the token comes from a Secret and is bound to nothing; mount a projected token"
        )
    pod_name, pod_uid = _single(status.extra, POD_NAME), _single(status.extra, POD_UID)
    if not pod_name or not pod_uid:
        bound = f"to node {_single(status.extra, NODE_NAME)!r}" if _single(status.extra, NODE_NAME) else "to no pod"
        raise JoinRefused("not_pod_bound", f"the token is bound {bound}; mount a projected token into the pod")
    return BoundServiceAccount(
        namespace=namespace,
        name=name,
        uid=status.uid,
        pod_name=pod_name,
        pod_uid=pod_uid,
        audiences=status.audiences,
    )


def parse_username(username: str) -> tuple[str, str]:
    """Return namespace and name of the ServiceAccount that a username, or a token's subject, names.

    Raises:
        JoinRefused: it is a user's, or names what cannot exist.
    """
    if not username.startswith(USERNAME_PREFIX):
        raise JoinRefused("not_a_service_account", f"the token is of user {username[:256]!r}, no ServiceAccount")
    parts = username.removeprefix(USERNAME_PREFIX).split(":")
    if len(parts) != 2 or not _LABEL.fullmatch(parts[0]) or not _NAME.fullmatch(parts[1]):  # noqa: PLR2004 - both parts
        raise JoinRefused("malformed_service_account", f"{username[:256]!r} is no name of a ServiceAccount")
    return parts[0], parts[1]


def _single(extra: Mapping[str, tuple[str, ...]], name: str) -> str:
    """Return the one value of a field; several are as good as none."""
    values = extra.get(name, ())
    return values[0] if len(values) == 1 else ""


def _find_reason(error: str) -> str:
    return next((reason for text, reason in _REASONS if text in error), "not_authenticated")
