"""How tokens are shown: masked unless asked otherwise, static ones first, then those that end soonest.

A token that an operator keeps bears labels for the operator; of those people see which object it comes from.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

from teleport.cli.output import render_table
from teleport.config.duration import render_duration
from teleport.resources.token import Token

HEADER = ("Token", "Type", "Labels", "Expiry Time (UTC)")
ORIGIN_LABEL = "teleport.dev/origin"
STATIC_ORIGIN = "config-file"
OPERATOR_PREFIX = "resources.teleport.dev/"
OBJECT_LABEL = f"{OPERATOR_PREFIX}object"

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EXPIRY_FORMAT = "%d %b %y %H:%M UTC"


def mask_token(token: Token) -> Token:
    """Return the token with its name as lists show it."""
    return token.with_metadata(name=token.safe_name)


def sort_tokens(tokens: Iterable[Token]) -> list[Token]:
    """Return static tokens, those that never expire, and the rest by the time of their end."""
    return sorted(tokens, key=lambda token: (not _is_static(token), _expiry(token) or _EPOCH, token.name))


def render_tokens(tokens: Iterable[Token], now: datetime) -> str:
    """Return the table of tokens."""
    return render_table(HEADER, [_build_row(token, now) for token in tokens])


def _build_row(token: Token, now: datetime) -> Sequence[str]:
    roles = ",".join(role.display_name for role in token.spec.roles)
    return (token.name, roles, _render_labels(token.metadata.labels), _render_expiry(_expiry(token), now))


def _render_labels(labels: Mapping[str, str]) -> str:
    shown = {key: value for key, value in labels.items() if not key.startswith(OPERATOR_PREFIX)}
    if OBJECT_LABEL in labels:
        shown.pop(ORIGIN_LABEL, None)
        shown["object"] = labels[OBJECT_LABEL]
    return ",".join(f"{key}={value}" for key, value in sorted(shown.items()))


def _render_expiry(expires: datetime | None, now: datetime) -> str:
    if expires is None:
        return "never"
    remaining = timedelta(seconds=max(0, round((expires - now).total_seconds())))
    return f"{expires.astimezone(UTC).strftime(_EXPIRY_FORMAT)} ({render_duration(remaining)})"


def _expiry(token: Token) -> datetime | None:
    """Return the end, or None for never, which older records write as the start of 1970."""
    expires = token.metadata.expires
    return None if expires is None or expires <= _EPOCH else expires


def _is_static(token: Token) -> bool:
    return token.metadata.labels.get(ORIGIN_LABEL) == STATIC_ORIGIN or token.metadata.expires == _EPOCH
