"""Roles of people: what they may open and change, and the one decision on applications that auth and agents share."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Literal

from pydantic import Field, field_validator

from teleport.errors import AccessDenied, BadParameter
from teleport.resources.model import Metadata, Model, Resource, check_labels

ANY = "*"
MAX_ROLE_NAME = 64
VERBS = ("create", "read", "readnosecrets", "list", "update", "delete")
PRESETS = ("access", "editor", "auditor")
"""Roles that every cluster has, and that nobody changes."""

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._-]*")
_PATTERN = re.compile(r"[\^$*{}]")

Words = Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=64)]
LabelRules = Mapping[str, tuple[str, ...]]


class Rule(Model):
    """Verbs on kinds of resources."""

    resources: Words
    verbs: Words


class RoleConditions(Model):
    """One half of a role: what it allows, or what it denies."""

    app_labels: dict[str, tuple[str, ...]] = Field(default_factory=dict)
    """Which applications: all of the labels must match, each by any of its values; `*` is any."""
    rules: Annotated[tuple[Rule, ...], Field(max_length=64)] = ()

    @field_validator("app_labels", mode="before")
    @classmethod
    def _one_value_is_a_list(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {key: [item] if isinstance(item, str) else item for key, item in value.items()}


class RoleOptions(Model):
    """Bounds of what is made from the role."""

    max_session_ttl: str = Field(default="", max_length=64)
    """The longest session, as `8h`; empty leaves the cluster's bound."""


class RoleSpec(Model):
    """What the role is about."""

    allow: RoleConditions = Field(default_factory=RoleConditions)
    deny: RoleConditions = Field(default_factory=RoleConditions)
    options: RoleOptions = Field(default_factory=RoleOptions)


class Role(Resource):
    """A role; deny wins over allow, also over that of another role."""

    kind: Literal["role"] = "role"
    version: Literal["v7"] = "v7"
    metadata: Metadata = Field(default_factory=Metadata)
    spec: RoleSpec = Field(default_factory=RoleSpec)


ACCESS = Role(
    metadata=Metadata(name="access", description="Open every application"),
    spec=RoleSpec(allow=RoleConditions(app_labels={ANY: (ANY,)})),
)
EDITOR = Role(metadata=Metadata(name="editor", description="Edit the cluster's resources"))
AUDITOR = Role(metadata=Metadata(name="auditor", description="See the cluster's resources, change none"))
PRESET_ROLES: dict[str, Role] = {role.name: role for role in (ACCESS, EDITOR, AUDITOR)}
"""What `editor` and `auditor` may do beside applications is written in `auth/access.py`."""


def check_role_name(name: str) -> None:
    """Refuse what could not stand in a certificate, in a list separated by commas, or in a key of the store.

    Raises:
        BadParameter: empty, too long, or other characters than letters, digits, dots, dashes and underscores.
    """
    if len(name) > MAX_ROLE_NAME or not _NAME.fullmatch(name):
        raise BadParameter(
            f"a role's name has 1 to {MAX_ROLE_NAME} letters, digits, dots, dashes and underscores, "
            "and begins with a letter or a digit"
        )


def check_role(role: Role) -> None:
    """Refuse a role of which a part would not mean what it says.

    Raises:
        BadParameter: the name, a label, a verb or a resource of it is not one that is known here.
    """
    check_role_name(role.name)
    check_labels(role.metadata.labels, "metadata.labels")
    for half, conditions in (("allow", role.spec.allow), ("deny", role.spec.deny)):
        _check_app_labels(conditions.app_labels, f"spec.{half}.app_labels")
        for rule in conditions.rules:
            unknown = [verb for verb in rule.verbs if verb not in (*VERBS, ANY)]
            if unknown:
                raise BadParameter(f"spec.{half}.rules: unknown verb {unknown[0]!r}; the verbs are {', '.join(VERBS)}")


def _check_app_labels(labels: LabelRules, place: str) -> None:
    check_labels(labels, place)
    for key, values in labels.items():
        if not values:
            raise BadParameter(f"{place}: label {key[:64]!r} has no value; write '*' for any")
        if key == ANY and values != (ANY,):
            raise BadParameter(f"{place}: the label '*' takes the value '*' only")
        for text in (key, *values):
            if text != ANY and _PATTERN.search(text):
                raise BadParameter(f"{place}: {text[:64]!r} is a pattern; only '*' alone, for any value, is known here")


@dataclass(frozen=True, slots=True)
class AppLabels:
    """Labels of an application by who says so."""

    given: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """By auth, from the token by which the agent joined."""
    declared: Mapping[str, str] = field(default_factory=dict)
    """By the agent; they can take access away and never give it."""

    @property
    def all(self) -> dict[str, tuple[str, ...]]:
        """Return every value of every label, whoever says so."""
        keys = {*self.given, *self.declared}
        return {
            key: (*self.given.get(key, ()), *([self.declared[key]] if key in self.declared else [])) for key in keys
        }


def check_app_access(roles: Iterable[Role], labels: AppLabels) -> None:
    """Refuse an application that no role allows, or that any role denies.

    What is allowed is judged by the labels that auth gives alone: an agent that calls its application `env=dev` opens
    it to nobody. What is denied is judged by all of them.

    Raises:
        AccessDenied: it may not be opened.
    """
    held = tuple(roles)
    everything = labels.all
    for role in held:
        if _matches(role.spec.deny.app_labels, everything):
            raise AccessDenied(f"role {role.name!r} denies this application")
    if not any(_matches(role.spec.allow.app_labels, labels.given) for role in held):
        raise AccessDenied("no role allows this application")


def _matches(rules: LabelRules, labels: Mapping[str, Sequence[str]]) -> bool:
    """Tell whether every rule is met; no rules match nothing."""
    return bool(rules) and all(_meets(key, values, labels) for key, values in rules.items())


def _meets(key: str, values: Sequence[str], labels: Mapping[str, Sequence[str]]) -> bool:
    if key == ANY:
        return True
    return key in labels and (ANY in values or any(value in values for value in labels[key]))
