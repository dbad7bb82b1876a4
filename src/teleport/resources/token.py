"""The provision token: which method a joining service must use, and which roles it may have then."""

import secrets
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Network, IPv6Network
from typing import Any, Literal

from pydantic import Field, field_validator

from teleport.errors import BadParameter
from teleport.resources.model import Metadata, Model, Resource, Time, check_labels, check_name
from teleport.resources.role import SystemRole, parse_role, unique_roles

DEFAULT_TTL = timedelta(minutes=30)
"""Life of a secret token for which nobody chose one."""

TOKEN_METHOD = "token"  # noqa: S105 - a method's name
MIN_SECRET_LENGTH = 8
SAFE_SECRET_LENGTH = 16
RANDOM_BYTES = 16

METHODS_OF_THE_ORIGINAL = frozenset(
    {
        "token",
        "kubernetes",
        "ec2",
        "iam",
        "github",
        "circleci",
        "azure",
        "gitlab",
        "gcp",
        "spacelift",
        "tpm",
        "terraform_cloud",
        "bitbucket",
        "oracle",
        "azure_devops",
        "bound_keypair",
        "env0",
    }
)

Section = Mapping[str, Any]
"""A join method's own part of the spec; the method alone knows what may stand in it."""


class TokenLimits(Model):
    """Bounds beyond the original's: how often, from where and from when on a token may be used."""

    max_uses: int | None = Field(default=None, ge=1, le=1_000_000_000)
    max_joins_per_hour: int | None = Field(default=None, ge=1, le=1_000_000_000)
    allow_cidrs: tuple[IPv4Network | IPv6Network, ...] = Field(default=(), max_length=256)
    not_before: Time | None = None


class TokenSpec(Model):
    """What the token grants and how a use of it is judged."""

    roles: tuple[SystemRole, ...] = ()
    join_method: str = ""
    bot_name: str = ""
    suggested_labels: dict[str, list[str]] = Field(default_factory=dict)
    suggested_agent_matcher_labels: dict[str, list[str]] = Field(default_factory=dict)
    allow: tuple[Section, ...] = Field(default=(), max_length=256)
    aws_iid_ttl: str | None = None
    limits: TokenLimits | None = None
    github: Section | None = None
    circleci: Section | None = None
    kubernetes: Section | None = None
    azure: Section | None = None
    gitlab: Section | None = None
    gcp: Section | None = None
    spacelift: Section | None = None
    tpm: Section | None = None
    terraform_cloud: Section | None = None
    bitbucket: Section | None = None
    oracle: Section | None = None
    azure_devops: Section | None = None
    bound_keypair: Section | None = None
    env0: Section | None = None

    @property
    def method(self) -> str:
        """Return the join method; where none is named, rules for AWS mean ec2, and else knowing the name is enough."""
        return self.join_method or ("ec2" if self.allow else TOKEN_METHOD)

    @field_validator("roles", mode="before")
    @classmethod
    def _parse_roles(cls, value: object) -> object:
        if not isinstance(value, list | tuple):
            return value
        try:
            return unique_roles(parse_role(str(item)) for item in value)
        except BadParameter as error:
            raise ValueError(error.message) from error

    @field_validator("suggested_labels", "suggested_agent_matcher_labels", mode="before")
    @classmethod
    def _one_value_is_a_list(cls, value: object) -> object:
        if not isinstance(value, dict):
            return value
        return {key: [item] if isinstance(item, str) else item for key, item in value.items()}


class Token(Resource):
    """A provision token; `check_token` says whether a parsed one may be stored."""

    kind: Literal["token"] = "token"
    version: Literal["v2"] = "v2"
    metadata: Metadata = Field(default_factory=Metadata, repr=False)
    """Not shown, since the name of a secret token is the secret."""
    spec: TokenSpec = Field(default_factory=TokenSpec)

    @property
    def safe_name(self) -> str:
        """Return the name as logs, audit and lists show it."""
        return safe_name(self.name, self.spec.join_method)

    @property
    def is_secret(self) -> bool:
        """Tell whether knowing the name is all it takes to join."""
        return self.spec.join_method in ("", TOKEN_METHOD)


def safe_name(name: str, join_method: str = TOKEN_METHOD) -> str:
    """Mask the name of a secret token: all of a short one, the first three quarters of a long one."""
    if join_method not in ("", TOKEN_METHOD):
        return name
    if len(name) < SAFE_SECRET_LENGTH:
        return "*" * len(name)
    hidden = int(0.75 * len(name))
    return "*" * hidden + name[hidden:]


def generate_token_name() -> str:
    """Make a secret of 128 random bits, as 32 hexadecimal characters."""
    return secrets.token_hex(RANDOM_BYTES)


def is_expired(token: Token, now: datetime) -> bool:
    """Tell whether the token's life is over; the instant of `expires` itself is still good."""
    return token.metadata.expires is not None and token.metadata.expires < now


def check_token(token: Token) -> None:
    """Refuse a token that no join could be judged by; the method's own section is the method's to check.

    Raises:
        BadParameter: a field is missing, or two fields contradict each other.
    """
    check_name(token.name, "token name")
    check_labels(token.metadata.labels, "metadata.labels")
    if not token.spec.roles:
        raise BadParameter("token has no roles")
    if SystemRole.BOT in token.spec.roles and not token.spec.bot_name:
        raise BadParameter("a token with role Bot needs spec.bot_name")
    if token.spec.bot_name and SystemRole.BOT not in token.spec.roles:
        raise BadParameter("spec.bot_name is only for tokens with role Bot")
    if token.spec.bot_name:
        check_name(f"bot-{token.spec.bot_name}", "the bot's user name")
    if token.spec.join_method not in METHODS_OF_THE_ORIGINAL:
        raise BadParameter(f"unknown join method {token.spec.join_method[:64]!r}")
    check_labels(token.spec.suggested_labels, "spec.suggested_labels")
    check_labels(token.spec.suggested_agent_matcher_labels, "spec.suggested_agent_matcher_labels")


def fill_defaults(token: Token, now: datetime) -> Token:
    """Return the token with the method named and, for a secret that nobody gave a life, the default one."""
    method = token.spec.method
    filled = token.model_copy(update={"spec": token.spec.model_copy(update={"join_method": method})})
    if method == TOKEN_METHOD and filled.metadata.expires is None:
        filled = filled.with_metadata(expires=now.astimezone(UTC) + DEFAULT_TTL)
    return filled
