"""The base of every resource and the metadata that all of them share."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Self, TypeVar

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    PlainSerializer,
    TypeAdapter,
    ValidationError,
)

from teleport.errors import BadParameter

MAX_NAME_LENGTH = 1024
MAX_LABELS = 256
MAX_LABEL_LENGTH = 1024

_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_RFC_3339 = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]{5,20}([Zz]|[+-][0-9]{2}:?[0-9]{2})")


class Model(BaseModel):
    """A frozen record in which an unknown field is an error and not a surprise."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)


ModelT = TypeVar("ModelT", bound=BaseModel)


def render_time(value: datetime) -> str:
    """Write a time as RFC 3339 in UTC, with a Z and without a fraction that is nought."""
    text = value.astimezone(UTC).isoformat()
    return text.removesuffix("+00:00") + "Z"


def _check_notation(value: object) -> object:
    """Let text in the one notation pass, and no numbers: of those nobody can tell seconds from milliseconds."""
    if isinstance(value, datetime) or (isinstance(value, str) and _RFC_3339.fullmatch(value)):
        return value
    raise ValueError("a time is written like 2026-01-31T12:00:00Z")


def _to_utc(value: datetime) -> datetime:
    try:
        return value.astimezone(UTC)
    except OverflowError as error:
        raise ValueError("the time is outside the years 1 to 9999") from error


Time = Annotated[
    AwareDatetime,
    BeforeValidator(_check_notation),
    AfterValidator(_to_utc),
    PlainSerializer(render_time, return_type=str, when_used="json"),
]
"""A moment in UTC; from outside it comes as RFC 3339 writes it, with a time zone."""
Labels = dict[str, str]


_TIME: TypeAdapter[datetime] = TypeAdapter(Time)


def parse_time(text: str) -> datetime:
    """Read a moment as RFC 3339 writes it, with a time zone.

    Raises:
        BadParameter: it is no such moment.
    """
    try:
        return _TIME.validate_python(text)
    except ValidationError as error:
        raise BadParameter("a time is written like 2026-01-31T12:00:00Z") from error


class Metadata(Model):
    """What every resource carries beside its spec."""

    name: str = ""
    namespace: str = "default"
    description: str = ""
    labels: Labels = Field(default_factory=dict)
    expires: Time | None = None
    """Absent means never."""
    revision: str = ""
    """Set by the store; an update names it, and is refused when the resource has moved on."""


class Resource(Model):
    """A named thing of one kind; each kind narrows `kind`, `version` and `spec`."""

    kind: str
    sub_kind: str = ""
    version: str
    metadata: Metadata

    @property
    def name(self) -> str:
        """Return the name, unique within its kind."""
        return self.metadata.name

    def with_metadata(self, **changes: object) -> Self:
        """Return a copy whose metadata differ in the given fields."""
        return self.model_copy(update={"metadata": self.metadata.model_copy(update=changes)})


def parse_model(model: type[ModelT], raw: object, what: str) -> ModelT:
    """Turn raw data into a model.

    Raises:
        BadParameter: a field is missing, unknown or of the wrong type; the message names it.
    """
    try:
        return model.model_validate(raw)
    except ValidationError as error:
        raise BadParameter(f"{what}: {explain_validation(error)}") from error


def explain_validation(error: ValidationError) -> str:
    """Say in one line what is wrong, without repeating the value: it may be a secret."""
    problems = []
    for problem in error.errors(include_url=False, include_input=False, include_context=False)[:5]:
        place = ".".join(str(part)[:64] for part in problem["loc"]) or "document"
        text = "unknown field" if problem["type"] == "extra_forbidden" else problem["msg"].removeprefix("Value error, ")
        problems.append(f"{place}: {text[0].lower()}{text[1:]}")
    return "; ".join(problems)


def check_name(name: str, what: str) -> None:
    """Refuse names that are empty, endless, or that could act when printed.

    Raises:
        BadParameter: the name is missing, too long, or holds a control character.
    """
    if not name:
        raise BadParameter(f"{what} is missing")
    if len(name) > MAX_NAME_LENGTH:
        raise BadParameter(f"{what} is longer than {MAX_NAME_LENGTH} characters")
    if _CONTROL.search(name):
        raise BadParameter(f"{what} contains a control character")


def check_labels(labels: Mapping[str, Any], what: str) -> None:
    """Refuse label sets that are too large or hold control characters.

    Raises:
        BadParameter: too many labels, or a key or value is too long, empty or holds a control character.
    """
    if len(labels) > MAX_LABELS:
        raise BadParameter(f"{what}: more than {MAX_LABELS} labels")
    for key, value in labels.items():
        check_name(key, f"{what}: a label's key")
        for text in value if isinstance(value, list | tuple) else [value]:
            if len(text) > MAX_LABEL_LENGTH or _CONTROL.search(text):
                raise BadParameter(
                    f"{what}: the value of label {key[:64]!r} is too long or contains a control character"
                )
