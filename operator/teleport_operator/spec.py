"""The spec of an object as pydantic reads it: a token's, and the fields that only objects have."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Annotated, Any

from pydantic import AfterValidator, BeforeValidator, Field, ValidationError
from pydantic_core import ErrorDetails

from teleport.config.duration import parse_duration
from teleport.join.kubernetes.spec import KubernetesSpec
from teleport.resources.model import Model, Time
from teleport.resources.token import TokenSpec
from teleport_operator.declaration import AdoptionPolicy, DeletionPolicy, DriftPolicy
from teleport_operator.problems import Problem

MIN_TTL = timedelta(minutes=1)
MAX_TTL = timedelta(hours=87600)
MIN_ROTATION = timedelta(minutes=10)
MAX_TEXT = 32

ADDITIONS = frozenset({"expires", "ttl", "secret", "deletionPolicy", "driftPolicy", "adoptionPolicy"})
"""Fields of the spec that tokens outside Kubernetes do not have."""

_SENTENCES = {
    "missing": "is missing",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be a mapping",
    "mapping_type": "must be a mapping",
    "model_type": "must be a mapping",
    "string_type": "must be text",
    "bool_type": "must be true or false",
    "bool_parsing": "must be true or false",
    "ip_v4_network": "is no network; write it like 192.0.2.0/24",
    "string_pattern_mismatch": "has characters that Kubernetes does not allow there",
}
"""What pydantic's types of errors mean to somebody who writes a manifest."""
_DURATION = re.compile(r"([0-9]{1,9}[hms])+")
"""As the schema has it: CEL reads no days."""


def _read_duration(value: object) -> timedelta:
    if not isinstance(value, str) or len(value) > MAX_TEXT or not _DURATION.fullmatch(value):
        raise ValueError("a duration is written like 90m or 1h30m")
    return parse_duration(value)


def _check_separator(value: object) -> object:
    """Let a time pass whose parts a T separates: other notations of it the schema refuses."""
    if not isinstance(value, str) or value[10:11] not in ("T", "t"):
        raise ValueError("a time is written like 2026-01-31T12:00:00Z")
    return value


def _within(minimum: timedelta, maximum: timedelta, text: str) -> AfterValidator:
    def check(value: timedelta) -> timedelta:
        if not minimum <= value <= maximum:
            raise ValueError(text)
        return value

    return AfterValidator(check)


Moment = Annotated[Time, BeforeValidator(_check_separator)]
Duration = Annotated[timedelta, BeforeValidator(_read_duration)]
Life = Annotated[Duration, _within(MIN_TTL, MAX_TTL, "expected from 1m to 87600h")]
Rotation = Annotated[Duration, _within(MIN_ROTATION, MAX_TTL, "expected from 10m to 87600h")]
Overlap = Annotated[Duration, _within(timedelta(), MAX_TTL, "expected at most 87600h")]
SecretName = Annotated[str, Field(pattern=r"^[a-z0-9]([-.a-z0-9]*[a-z0-9])?$", max_length=253)]
SecretKey = Annotated[str, Field(pattern=r"^[-._a-zA-Z0-9]+$", max_length=253)]


class FromSecret(Model):
    """Where a secret token's value is read."""

    name: SecretName
    key: SecretKey = "auth-token"


class SecretSection(Model):
    """`spec.secret`: the value is not the object's name."""

    name: SecretName | None = None
    from_secret: FromSecret | None = Field(default=None, alias="fromSecret")
    rotate_every: Rotation | None = Field(default=None, alias="rotateEvery")
    overlap: Overlap | None = None


class DeclaredSpec(TokenSpec):
    """A whole spec."""

    kubernetes: KubernetesSpec | None = None  # type: ignore[assignment]  # read here, so that each fault has its place
    expires: Moment | None = None
    ttl: Life | None = None
    secret: SecretSection | None = None
    deletion_policy: DeletionPolicy = Field(default=DeletionPolicy.DELETE, alias="deletionPolicy")
    drift_policy: DriftPolicy = Field(default=DriftPolicy.REPAIR, alias="driftPolicy")
    adoption_policy: AdoptionPolicy = Field(default=AdoptionPolicy.NEVER, alias="adoptionPolicy")


Plain = Mapping[str, Any]
"""A spec without what stands there and says nothing."""


def normalise(raw: Mapping[str, Any]) -> Plain:
    """Return a spec without what is null and, in the section of the method, without empty text: both mean absent."""
    spec = {key: value for key, value in raw.items() if value is not None}
    section = spec.get("kubernetes")
    if isinstance(section, Mapping):
        filled = _without_absent(section)
        spec["kubernetes"] = {
            key: value for key, value in filled.items() if value != {} or key not in ("static_jwks", "oidc")
        }
    return spec


def _without_absent(value: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
    if isinstance(value, Mapping):
        return {key: _without_absent(item) for key, item in value.items() if item is not None and item != ""}
    return [_without_absent(item) for item in value] if isinstance(value, list) else value


@dataclass(frozen=True, slots=True)
class SpecReading:
    """What could be read of a spec, and what could not."""

    spec: DeclaredSpec
    """Without the broken fields."""
    broken: frozenset[str]
    """Fields of the spec, of the first level, that hold what they should not."""
    problems: tuple[Problem, ...]


def read_spec(plain: Plain) -> SpecReading:
    """Read as much of a spec as can be read; it must hold no unknown fields."""
    try:
        return SpecReading(DeclaredSpec.model_validate(plain), frozenset(), ())
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False, include_context=False)
    broken = frozenset(str(problem["loc"][0]) for problem in found)
    rest = DeclaredSpec.model_validate({key: value for key, value in plain.items() if key not in broken})
    # Of the branches of a union pydantic tells each; the first one is enough.
    sentences: dict[str, str] = {}
    for problem in found:
        sentences.setdefault(_render_path(problem, plain), _render_sentence(problem))
    return SpecReading(rest, broken, tuple(Problem(path, sentence) for path, sentence in sentences.items()))


def _render_path(problem: ErrorDetails, plain: Plain) -> str:
    """Write where it is, as far as the object goes: pydantic names the branches of a union, too."""
    path: str = "spec"
    value: Any = plain
    for part in problem["loc"]:
        if isinstance(part, int):
            path, value = f"{path}[{part}]", value[part]
        elif isinstance(value, Mapping) and (part in value or problem["type"] == "missing"):
            path, value = f"{path}.{part}", value.get(part)
    return path


def _render_sentence(problem: ErrorDetails) -> str:
    text = _SENTENCES.get(problem["type"]) or problem["msg"].removeprefix("Value error, ").replace(
        "Input should", "must"
    )
    return text[0].lower() + text[1:]
