"""People: a name, roles, traits. How they prove who they are is kept apart and leaves auth on no path."""

import re
from typing import Annotated, Literal

from pydantic import Field

from teleport.errors import BadParameter
from teleport.resources.access_role import check_role_name
from teleport.resources.model import Metadata, Model, Resource, Time, check_labels

MAX_USER_NAME = 128
MAX_ROLES = 16

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9._@+-]*")

RoleNames = Annotated[tuple[Annotated[str, Field(max_length=64)], ...], Field(max_length=MAX_ROLES)]
Traits = dict[str, tuple[str, ...]]


class UserStatus(Model):
    """How a user fares; auth writes it for those who read, and takes it from nobody."""

    is_enrolled: bool = False
    """A password and a second factor are set."""
    locked_until: Time | None = None
    """Too many logins failed."""


class UserSpec(Model):
    """What a user is."""

    roles: RoleNames = ()
    traits: Traits = Field(default_factory=dict)
    """What applications and, later, logins are told of the user."""
    status: UserStatus = Field(default_factory=UserStatus)


class User(Resource):
    """A user of the cluster."""

    kind: Literal["user"] = "user"
    version: Literal["v2"] = "v2"
    metadata: Metadata = Field(default_factory=Metadata)
    spec: UserSpec = Field(default_factory=UserSpec)


def check_user_name(name: str) -> None:
    """Refuse what could not stand in a certificate, in a list separated by commas, or in a key of the store.

    Raises:
        BadParameter: empty, too long, or with other characters than a name or an address of e-mail has.
    """
    if len(name) > MAX_USER_NAME or not _NAME.fullmatch(name):
        raise BadParameter(
            f"a user's name has 1 to {MAX_USER_NAME} letters, digits and . _ @ + -, and begins with a letter or a digit"
        )


def check_user(user: User) -> None:
    """Refuse a user that could not be shown, certified or given a role.

    Raises:
        BadParameter: the name, a role's name or a trait is malformed, or there is no role.
    """
    check_user_name(user.name)
    check_labels(user.metadata.labels, "metadata.labels")
    check_labels(user.spec.traits, "spec.traits")
    if not user.spec.roles:
        raise BadParameter("a user needs at least one role")
    for name in user.spec.roles:
        check_role_name(name)
