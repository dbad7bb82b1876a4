"""Reads when a token ends, from whichever of its spellings an object uses."""

import re
from collections.abc import Mapping
from datetime import datetime

import orjson
from pydantic import TypeAdapter, ValidationError

from teleport.errors import BadParameter
from teleport.resources.model import Time
from teleport_operator.declaration import BY_DEFAULT, NEVER, Annotation, ExpiryRule, ExpirySource
from teleport_operator.problems import InvalidManifest, Problem
from teleport_operator.spec import DeclaredSpec

ANNOTATION_PATH = f"metadata.annotations[{Annotation.EXPIRES}]"

_RFC_3339 = TypeAdapter[datetime](Time)
_GO = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}) ([0-9]{2}:[0-9]{2}:[0-9]{2})(\.[0-9]{1,6})?[0-9]{0,3}"
    r" ([+-][0-9]{4}) ([A-Z]{1,6}|[+-][0-9]{2,4})( m=[+-][0-9]{1,20}\.[0-9]{1,9})?"
)
"""As Go prints a time, and so Helm: `2026-11-21 12:49:54.1 +0000 UTC m=+3600.1`."""


def parse_moment(text: str) -> datetime:
    """Read a moment as RFC 3339 or as Go prints it.

    Raises:
        BadParameter: anything else.
    """
    go = _GO.fullmatch(text)
    if go:
        day, time, fraction, offset = go.group(1, 2, 3, 4)
        text = f"{day}T{time}{fraction or ''}{offset[:3]}:{offset[3:]}"
    try:
        return _RFC_3339.validate_python(text)
    except ValidationError as error:
        raise BadParameter("a time is written like 2026-01-31T12:00:00Z") from error


def read_metadata_expires(annotations: Mapping[str, str]) -> str | None:
    """Return `metadata.expires` as `kubectl apply` was given it; the API server knows no such field and drops it."""
    try:
        applied = orjson.loads(annotations.get(Annotation.LAST_APPLIED, "null"))
    except orjson.JSONDecodeError:
        return None
    metadata = applied.get("metadata") if isinstance(applied, dict) else None
    expires = metadata.get("expires") if isinstance(metadata, dict) else None
    return None if expires is None else str(expires)


def choose_expiry(spec: DeclaredSpec, annotations: Mapping[str, str], *, is_secret: bool) -> ExpiryRule:
    """Return the rule that an object states, in whichever spelling.

    Raises:
        InvalidManifest: it states two, or one that cannot be read.
    """
    given = annotations.get(Annotation.EXPIRES)
    if spec.expires is not None and spec.ttl is not None:
        raise InvalidManifest([Problem("spec.ttl", "stands beside spec.expires", "give one of them")])
    if given is not None and (spec.expires is not None or spec.ttl is not None):
        raise InvalidManifest([Problem(ANNOTATION_PATH, "stands beside spec.expires or spec.ttl", "give one of them")])
    if spec.expires is not None:
        return ExpiryRule(ExpirySource.EXPIRES, at=spec.expires)
    if spec.ttl is not None:
        return ExpiryRule(ExpirySource.TTL, ttl=spec.ttl)
    if given is not None:
        return ExpiryRule(ExpirySource.ANNOTATION, at=_parse_at(ANNOTATION_PATH, given))
    dropped = read_metadata_expires(annotations)
    if dropped is not None:
        return ExpiryRule(ExpirySource.METADATA, at=_parse_at("metadata.expires", dropped))
    rotates = spec.secret is not None and spec.secret.rotate_every is not None
    return BY_DEFAULT if is_secret and not rotates else NEVER


def _parse_at(path: str, text: str) -> datetime:
    try:
        return parse_moment(text)
    except BadParameter as error:
        raise InvalidManifest([Problem(path, error.message, "write it so, or use spec.ttl")]) from error
