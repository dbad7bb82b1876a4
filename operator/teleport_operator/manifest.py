"""Reads an object as the API server gives it: what it declares, or all that is wrong with it. Pure.

`fields.py` finds what nobody knows, `checks.py` what does not fit together. The judges of auth have the last word, so
that whatever is read here is a token that auth takes.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from teleport.join.method import Judge
from teleport.resources.codec import to_plain
from teleport.resources.model import Metadata, parse_model
from teleport.resources.token import METHODS_OF_THE_ORIGINAL, SAFE_SECRET_LENGTH, TOKEN_METHOD, Token, TokenSpec
from teleport_operator.checks import find_contradictions, find_refusals
from teleport_operator.declaration import (
    NEVER,
    Annotation,
    Declaration,
    ExpiryRule,
    ExpirySource,
    Note,
    NoteReason,
    SecretRule,
    SecretSource,
)
from teleport_operator.expiry import choose_expiry
from teleport_operator.fields import describe_unknown, find_unknown, without_unknown
from teleport_operator.head import parse_head, read_annotations
from teleport_operator.problems import InvalidManifest, Problem
from teleport_operator.spec import DeclaredSpec, Plain, SecretSection, SpecReading, normalise, read_spec

DEFAULT_OVERLAP = timedelta(hours=1)

_METHOD_FIELDS = frozenset({"join_method", "allow", "kubernetes", "secret"})
"""Those without which nobody can tell what the name of the object means."""
_ANY_SECRET = "0" * SAFE_SECRET_LENGTH
"""Stands for a secret that is made or read later, or that was judged already."""
_REVEALED = (
    "whoever may list these objects reads the token, which is this object's name; "
    "with `secret: {}` in the spec the operator keeps one in a Secret"
)
_EXPIRES_FROM_METADATA = (
    "metadata.expires is no field of Kubernetes and was dropped; it is taken from what `kubectl apply` noted. "
    "Write spec.expires or spec.ttl"
)
_ROOT = ("apiVersion", "kind", "metadata", "spec", "status")


@dataclass(frozen=True, slots=True)
class Content:
    """What name, annotations and spec of an object say."""

    spec: DeclaredSpec
    token: Token
    expiry: ExpiryRule
    notes: tuple[Note, ...]


def parse_declaration(raw: Mapping[str, Any], *, judges: Mapping[str, Judge]) -> Declaration:
    """Read an object of the API server.

    Args:
        raw: the whole object.
        judges: auth's, as `teleport.join.catalog.build_judges` makes them.

    Raises:
        InvalidManifest: with everything that is wrong.
    """
    content = parse_content(raw, judges=judges)
    return Declaration(
        head=parse_head(raw),
        token=content.token,
        expiry=content.expiry,
        secret=_build_secret_rule(content.spec.secret, raw["metadata"]["name"]),
        drift_policy=content.spec.drift_policy,
        adoption_policy=content.spec.adoption_policy,
        notes=content.notes,
    )


def parse_content(raw: Mapping[str, Any], *, judges: Mapping[str, Judge]) -> Content:
    """Read name, annotations and spec, which a manifest has as well that no API server has seen.

    Raises:
        InvalidManifest: with everything that is wrong.
    """
    unknown = [describe_unknown("", str(key), _ROOT) for key in raw if key not in _ROOT]
    written = raw.get("spec") or {}
    if not isinstance(written, Mapping):
        raise InvalidManifest([*unknown, Problem("spec", "must be a mapping")])
    filled = normalise(written)
    unknown += find_unknown(filled, DeclaredSpec, "spec")
    plain = without_unknown(filled, DeclaredSpec)
    reading = read_spec(plain)
    token = _build_token(raw, reading.spec, plain, reading.broken)
    further = [*reading.problems, *_find_in_whole(raw, reading, token, judges)]
    expiry = _choose_expiry(reading.spec, raw, token, further)
    problems = [*unknown, *(problem for problem in further if not _may_follow(problem, unknown))]
    if problems:
        raise InvalidManifest(problems)
    # What is empty gets lost on the way to auth: without it the token compares with what auth has.
    token = parse_model(Token, to_plain(token), "token")
    return Content(reading.spec, token, expiry, tuple(_find_notes(reading.spec, token.spec.method, expiry)))


def _find_in_whole(
    raw: Mapping[str, Any], reading: SpecReading, token: Token, judges: Mapping[str, Judge]
) -> Iterator[Problem]:
    """Yield what is wrong with the spec as a whole, as far as its fields let anybody tell."""
    if not reading.broken & _METHOD_FIELDS:
        yield from find_contradictions(reading.spec, raw["metadata"]["name"], is_secret=token.is_secret)
    if not reading.broken:
        yield from find_refusals(token.with_metadata(name=_ANY_SECRET) if token.is_secret else token, judges)


def _may_follow(problem: Problem, unknown: Sequence[Problem]) -> bool:
    """Tell whether what is missed at a place may be what is mistyped there."""
    return any(other.path.startswith(f"{problem.path}.") for other in unknown)


def _build_token(raw: Mapping[str, Any], spec: DeclaredSpec, plain: Plain, broken: frozenset[str]) -> Token:
    """Return the token of a spec, without its broken fields; its section stays as it is written."""
    own = {key: value for key, value in plain.items() if key in TokenSpec.model_fields and key not in broken}
    metadata = Metadata(name=raw["metadata"]["name"], description=read_annotations(raw).get(Annotation.DESCRIPTION, ""))
    token = Token(metadata=metadata, spec=TokenSpec.model_validate({**own, "join_method": spec.method}))
    return token.with_metadata(name="") if token.is_secret and spec.secret is not None else token


def _choose_expiry(spec: DeclaredSpec, raw: Mapping[str, Any], token: Token, problems: list[Problem]) -> ExpiryRule:
    try:
        return choose_expiry(spec, read_annotations(raw), is_secret=token.is_secret)
    except InvalidManifest as error:
        problems += error.problems
        return NEVER


def _build_secret_rule(section: SecretSection | None, name: str) -> SecretRule | None:
    if section is None:
        return None
    source, every, overlap = section.from_secret, section.rotate_every, section.overlap
    if overlap is None:
        overlap = DEFAULT_OVERLAP if every is None else min(DEFAULT_OVERLAP, every / 2)
    return SecretRule(
        name=section.name or name,
        source=None if source is None else SecretSource(source.name, source.key),
        rotate_every=every,
        overlap=overlap,
    )


def _find_notes(spec: DeclaredSpec, method: str, expiry: ExpiryRule) -> Iterator[Note]:
    if method == TOKEN_METHOD and spec.secret is None:
        yield Note(NoteReason.NAME_IS_SECRET, _REVEALED)
    if expiry.source is ExpirySource.METADATA:
        yield Note(NoteReason.EXPIRES_FROM_METADATA, _EXPIRES_FROM_METADATA)
    for section in sorted(METHODS_OF_THE_ORIGINAL - {method}):
        if getattr(spec, section, None) is not None:
            yield Note(NoteReason.UNUSED_SECTION, f"spec.{section} has no effect with join_method {method}")
