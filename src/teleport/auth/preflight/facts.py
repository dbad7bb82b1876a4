"""What can be found out about an API server and about the own rights there by asking; nothing is changed by it."""

from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol, TypeVar

from teleport.clock import Clock
from teleport.errors import BadParameter
from teleport.kube.errors import BadAnswer, NoAnswer
from teleport.kube.grants import Account, parse_username
from teleport.kube.objects import AccessAnswer
from teleport.kube.server_version import ServerVersion
from teleport.kube.token_review import ReviewStatus
from teleport.pki.jwks import JwkSet, parse_jwks
from teleport.pki.jwt import JwtError, parse_jwt, read_audiences, read_text, read_time

PROBE_AUDIENCE = "teleport-preflight"
"""Asked for where the own token has none; no token is for it, and an answer shows the right to ask all the same."""
_SECOND = timedelta(seconds=1)

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Right:
    """One thing that somebody may do, or may not."""

    verb: str
    resource: str
    group: str = ""
    namespace: str = ""
    """Empty means all of them."""


@dataclass(frozen=True, slots=True)
class OwnToken:
    """What the own ServiceAccount token says of itself; the API server vouches for it by answering."""

    account: Account | None
    """None if its subject is no ServiceAccount."""
    subject: str
    pod: str
    """Empty if it is bound to none."""
    audiences: tuple[str, ...]
    issuer: str
    expires: datetime | None


@dataclass(frozen=True, slots=True)
class Answers:
    """What the API server says; an error stands where an answer should be."""

    skew: timedelta | None
    """By so much its clock is ahead of ours; None if it does not tell."""
    review: ReviewStatus | NoAnswer
    """Of the own token, for its own audiences."""
    issuer: str | NoAnswer
    keys: JwkSet | NoAnswer
    rights: Mapping[Right, AccessAnswer | NoAnswer]


@dataclass(frozen=True, slots=True)
class KubeFacts:
    """What was found out at one moment."""

    url: str
    now: datetime
    own_token: OwnToken | NoAnswer
    version: ServerVersion | NoAnswer
    answers: Answers | None = None
    """None where not even the version was answered."""


class FactsApi(Protocol):
    """Who is asked; `kube/api.py` is it in earnest."""

    @property
    def own_token(self) -> str:
        """Return the token by which this process is known there."""
        ...

    async def get_version(self) -> ServerVersion:
        """Return its version."""
        ...

    async def get_time(self) -> datetime | None:
        """Return what time it is there."""
        ...

    async def review_token(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        """Ask who a token is of."""
        ...

    async def get_issuer(self) -> str:
        """Return the issuer of its tokens."""
        ...

    async def get_jwks(self) -> str:
        """Return the keys by which it signs."""
        ...

    async def review_own_access(
        self, verb: str, group: str, resource: str, *, namespace: str = "", name: str = ""
    ) -> AccessAnswer:
        """Ask whether this process may do something."""
        ...


async def load_facts(api: FactsApi, *, url: str, clock: Clock, rights: Sequence[Right]) -> KubeFacts:
    """Ask everything; where the first question has no answer, nothing else is asked.

    Args:
        api: asked.
        url: of the API server, to be shown.
        clock: compared with that of the API server.
        rights: whether they are granted.
    """
    own = _read_own_token(api)
    version = own if isinstance(own, NoAnswer) else await _attempt(api.get_version())
    if isinstance(own, NoAnswer) or isinstance(version, NoAnswer):
        return KubeFacts(url, clock.now(), own, version)
    answers = Answers(
        skew=await _measure_skew(api, clock),
        review=await _attempt(api.review_token(api.own_token, own.audiences or (PROBE_AUDIENCE,))),
        issuer=await _attempt(api.get_issuer()),
        keys=await _attempt(_load_keys(api)),
        rights={right: await _attempt(_ask_right(api, right)) for right in rights},
    )
    return KubeFacts(url, clock.now(), own, version, answers)


def parse_own_token(text: str) -> OwnToken:
    """Read what a ServiceAccount token says of itself.

    Raises:
        JwtError: it is no such token.
    """
    claims = parse_jwt(text).claims
    subject = read_text(claims, "sub")
    return OwnToken(
        account=parse_username(subject),
        subject=subject,
        pod=_read_pod(claims),
        audiences=read_audiences(claims),
        issuer=read_text(claims, "iss"),
        expires=read_time(claims, "exp"),
    )


def _read_pod(claims: Mapping[str, Any]) -> str:
    bound = claims.get("kubernetes.io")
    pod = bound.get("pod") if isinstance(bound, dict) else None
    return read_text(pod, "name") if isinstance(pod, dict) else ""


def _read_own_token(api: FactsApi) -> OwnToken | NoAnswer:
    try:
        return parse_own_token(api.own_token)
    except NoAnswer as error:
        return error
    except JwtError as error:
        return BadAnswer(f"the own ServiceAccount token cannot be understood: {error.message}")


async def _load_keys(api: FactsApi) -> JwkSet:
    try:
        return parse_jwks(await api.get_jwks())
    except BadParameter as error:
        raise BadAnswer(f"the cluster's keys cannot be used: {error.message}") from error


async def _ask_right(api: FactsApi, right: Right) -> AccessAnswer:
    return await api.review_own_access(right.verb, right.group, right.resource, namespace=right.namespace)


async def _measure_skew(api: FactsApi, clock: Clock) -> timedelta | None:
    """Return by how much the API server's clock is ahead, at least; it tells whole seconds, and the way takes time."""
    before = clock.now()
    there = await _attempt(api.get_time())
    if there is None or isinstance(there, NoAnswer):
        return None
    return max(there - clock.now(), timedelta()) or min(there + _SECOND - before, timedelta())


async def _attempt(question: Awaitable[T]) -> T | NoAnswer:
    """Return the answer, or why there is none."""
    try:
        return await question
    except NoAnswer as error:
        return error
