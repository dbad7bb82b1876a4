"""Making an invitation: everything is looked up before the token is created, so that a failure leaves none behind."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, TypeVar

import click

from teleport.api.messages import ResourceRequest
from teleport.api.operations import RESOURCE_CREATE
from teleport.cli.escaping import UNSAFE
from teleport.cli.params import parsed
from teleport.cli.tctl.cluster import ApiClient, ask, build_ca_pins, get_trust_bundle, ping
from teleport.cli.tctl.invitation import Invitation
from teleport.cli.tctl.session import Session
from teleport.config.duration import parse_duration
from teleport.errors import AlreadyExists, BadParameter, Unavailable
from teleport.resources.codec import to_plain
from teleport.resources.model import Metadata, check_name
from teleport.resources.role import SystemRole, parse_roles
from teleport.resources.token import (
    DEFAULT_TTL,
    MIN_SECRET_LENGTH,
    SAFE_SECRET_LENGTH,
    TOKEN_METHOD,
    Token,
    TokenSpec,
    generate_token_name,
)

MAX_TTL = timedelta(days=100 * 365)

Decorated = TypeVar("Decorated", bound=Callable[..., Any])

_WITH_KUBE = (SystemRole.KUBE, SystemRole.APP, SystemRole.DISCOVERY)


@dataclass(frozen=True, slots=True)
class Order:
    """What the administrator wants."""

    roles: tuple[SystemRole, ...]
    ttl: timedelta
    value: str | None = field(default=None, repr=False)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """The token that was made, and the invitation that goes with it."""

    token: Token = field(repr=False)
    invitation: Invitation


def ttl_option(command: Decorated) -> Decorated:
    """Add `--ttl`."""
    return click.option(
        "--ttl",
        default=f"{DEFAULT_TTL // timedelta(minutes=1)}m",
        show_default=True,
        callback=parsed(parse_ttl),
        help="How long services can join with it, as 30s, 5m, 1h30m or 7d; those that have joined stay.",
    )(command)


def parse_ttl(text: str) -> timedelta:
    """Read a token's life.

    Raises:
        BadParameter: no duration, or not between a second and a hundred years.
    """
    ttl = parse_duration(text)
    if not timedelta(seconds=1) <= ttl <= MAX_TTL:
        raise BadParameter("a token lives between one second and a hundred years")
    return ttl


def parse_invited_roles(text: str) -> tuple[SystemRole, ...]:
    """Read roles; Kube alone stands for all that the agent in a Kubernetes cluster does, as in the original.

    Raises:
        BadParameter: as `parse_roles`.
    """
    roles = parse_roles(text)
    return _WITH_KUBE if roles == (SystemRole.KUBE,) else roles


def invite(session: Session, order: Order) -> Outcome:
    """Create the token that was ordered.

    Raises:
        BadParameter: the chosen value cannot be a token, here or in the eyes of auth.
        AlreadyExists: the chosen value is a token already.
        Unavailable: the cluster announces no address, so that nobody could be told where to go.
    """
    _check_value(order.value)
    token = _build_token(order, session.clock.now())

    async def work(client: ApiClient) -> Invitation:
        invitation = await _build_invitation(client, order, token.name)
        await _create(client, token)
        return invitation

    return Outcome(token=token, invitation=ask(session, work))


def _check_value(value: str | None) -> None:
    if value is None:
        return
    check_name(value, "the token's value")
    if UNSAFE.search(value):
        raise BadParameter("the token's value contains a character that cannot be printed")
    if MIN_SECRET_LENGTH <= len(value) < SAFE_SECRET_LENGTH:  # auth refuses what is shorter still
        click.echo(
            f"WARNING: a token of {len(value)} characters can be guessed; choose at least {SAFE_SECRET_LENGTH}, "
            "or leave the choice to tctl",
            err=True,
        )


def _build_token(order: Order, now: datetime) -> Token:
    expires = (now + order.ttl).replace(microsecond=0)
    return Token(
        metadata=Metadata(name=order.value or generate_token_name(), labels=dict(order.labels), expires=expires),
        spec=TokenSpec(roles=order.roles, join_method=TOKEN_METHOD),
    )


async def _build_invitation(client: ApiClient, order: Order, name: str) -> Invitation:
    answer = await ping(client)
    pins = build_ca_pins(await get_trust_bundle(client))
    if not answer.auth_addresses:
        raise Unavailable(
            "the cluster announces no auth server address yet; set auth_service.public_addr, or try again"
        )
    return Invitation(
        token=name,
        roles=order.roles,
        ttl=order.ttl,
        ca_pins=pins,
        auth_address=answer.auth_addresses[0],
        proxy_address=next(iter(answer.proxy_addresses), ""),
    )


async def _create(client: ApiClient, token: Token) -> None:
    try:
        await client.call(RESOURCE_CREATE, ResourceRequest(resource=to_plain(token)))
    except AlreadyExists as error:
        raise AlreadyExists(
            "there is a token of this value already; choose another, or remove that one first"
        ) from error
