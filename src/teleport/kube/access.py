"""One auth server's way to the Kubernetes cluster that it is in, or is told of."""

import logging
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Sequence
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext, suppress
from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from functools import partial
from typing import Protocol, TypeVar

from teleport.clock import Clock
from teleport.kube.errors import Forbidden, NoAnswer
from teleport.kube.following import FollowApi, follow_objects
from teleport.kube.grants import (
    Account,
    Grant,
    build_keys_grant,
    build_pods_grant,
    build_reviews_grant,
    build_watch_grant,
    find_account,
)
from teleport.kube.objects import Listing, ObjectChange, ObjectKind, Pod, ServiceAccountObject
from teleport.kube.published_keys import PublishedKeys
from teleport.kube.reviewer import MAX_IN_FLIGHT, ReviewApi, TokenReviewer
from teleport.kube.token_review import ReviewStatus

FORGET = timedelta(minutes=10)
"""A right in a namespace from which no pod has needed it for so long is missed no more."""
CALM = timedelta(seconds=10)
"""An API server that is too busy answers now and then: after so long without a failure it answers again."""

T = TypeVar("T")

logger = logging.getLogger(__name__)

Report = Callable[[str | None], None]
"""Told what a person must do when Kubernetes does not let us ask, and None when nothing is missing any more."""

Again = Callable[[], Awaitable[object]]


class Verification(StrEnum):
    """How tokens of the own cluster are verified; chosen by the configuration and never fallen back to."""

    TOKENREVIEW = "tokenreview"
    """The API server is asked about each; it knows of pods that are gone."""
    JWKS = "jwks"
    """The signature is verified by the cluster's keys, which any ServiceAccount may read; a deleted pod goes unseen."""


@dataclass(slots=True)
class _Lack:
    """A right that is missing."""

    problem: str
    again: Again | None
    """Asks such a question; without it somebody else does so soon."""
    needed_at: float
    is_local: bool
    """It is needed in one namespace."""


@dataclass(slots=True)
class _Silence:
    """Questions of one kind that have no answer."""

    detail: str
    told_at: float
    failed_at: float


class AccessApi(ReviewApi, FollowApi, Protocol):
    """Who is asked; `kube/api.py` is it in earnest."""

    @property
    def own_token(self) -> str:
        """Return the token by which this process is known there."""
        ...

    async def get_pod(self, namespace: str, name: str) -> Pod | None:
        """Return a pod as it is now, or None."""
        ...

    async def get_service_account(self, namespace: str, name: str) -> ServiceAccountObject | None:
        """Return a ServiceAccount as it is now, or None."""
        ...

    async def get_jwks(self) -> str:
        """Return the keys by which the cluster signs."""
        ...

    async def close(self) -> None:
        """Close the connections."""
        ...


class KubernetesAccess:
    """What a judge may ask Kubernetes; to be closed.

    A right that is missing is reported once, and that it is back when a question of its kind, and about the same
    namespace, is answered again. The log says once why a question has no answer.

    Args:
        api: the client, which is closed with it.
        clock: for the age of answers.
        verification: how tokens are verified.
        max_in_flight: so many reviews are under way at once.
        observe: returns what measures one review.
        report: told how the right to ask fares.
    """

    def __init__(
        self,
        *,
        api: AccessApi,
        clock: Clock,
        verification: Verification = Verification.TOKENREVIEW,
        max_in_flight: int = MAX_IN_FLIGHT,
        observe: Callable[[], AbstractContextManager[object]] = nullcontext,
        report: Report = lambda _: None,
    ) -> None:
        self.verification = verification
        self._api = api
        self._clock = clock
        self._reviewer = TokenReviewer(api=api, clock=clock, max_in_flight=max_in_flight, observe=observe)
        self._keys = PublishedKeys(api.get_jwks, clock=clock)
        self._report = report
        self._lacks: dict[str, _Lack] = {}
        self._told: str | None = None
        self._silences: dict[str, _Silence] = {}

    @property
    def own_token(self) -> str:
        """Return auth's own ServiceAccount token.

        Raises:
            Unavailable: it cannot be read.
        """
        return self._api.own_token

    async def close(self) -> None:
        """Give up what is under way, and close the connections to the API server."""
        await self._reviewer.close()
        await self._api.close()

    async def review(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        """Return what the API server says of a token.

        Raises:
            Unavailable: it does not answer, or does not let auth ask.
        """
        known = self._reviewer.find(token, audiences)
        if known is not None:
            return known  # which says nothing of whether auth may ask now
        with self._followed("token reviews", build_reviews_grant, partial(self._review_own_token, audiences)):
            return await self._reviewer.review(token, audiences)

    async def get_pod(self, namespace: str, name: str, *, watched: bool = False) -> Pod | None:
        """Return a pod as it is now, or None.

        Args:
            namespace: of the pod.
            name: of the pod.
            watched: its end is watched for, which needs more rights than one look.

        Raises:
            Unavailable: the API server does not answer, or does not let auth ask.
        """
        again = partial(self.get_pod, namespace, name, watched=watched)
        build_grant = build_watch_grant if watched else build_pods_grant
        with self._followed("pods", build_grant, again, namespace=namespace):
            return await self._api.get_pod(namespace, name)

    async def get_service_account(self, namespace: str, name: str) -> ServiceAccountObject | None:
        """Return a ServiceAccount as it is now, or None.

        Raises:
            Unavailable: see `get_pod`.
        """
        again = partial(self.get_service_account, namespace, name)
        with self._followed("serviceaccounts", build_watch_grant, again, namespace=namespace):
            return await self._api.get_service_account(namespace, name)

    async def follow(self, kind: ObjectKind[T], namespace: str) -> AsyncGenerator[Listing[T] | ObjectChange[T], None]:
        """Yield all objects of a kind in a namespace, and then what becomes of them, for ever.

        Raises:
            Unavailable: see `get_pod`.
        """
        seen = follow_objects(self._api, kind, namespace)
        async with aclosing(seen):
            while True:
                with self._followed(f"watching {kind.resource}", build_watch_grant, namespace=namespace):
                    each = await anext(seen)
                yield each

    async def load_cluster_keys(self) -> str:
        """Return the keys by which the cluster signs; they may be ten minutes old.

        Raises:
            Unavailable: the API server does not answer, and has not for an hour.
        """
        with self._followed("keys", build_keys_grant, self.load_cluster_keys):
            return await self._keys.load()

    async def refresh_cluster_keys(self) -> str:
        """Return the keys by which the cluster signs, for a token whose key is not among those that are known.

        Raises:
            Unavailable: see `load_cluster_keys`.
        """
        with self._followed("keys", build_keys_grant, self.load_cluster_keys):
            return await self._keys.refresh()

    async def look_again(self) -> None:
        """Ask once more for each right that is missing.

        Whoever is not ready may get no visitors, and then no join would show that the right is back.
        """
        for place, lack in list(self._lacks.items()):
            if lack.is_local and self._clock.monotonic() - lack.needed_at > FORGET.total_seconds():
                self._lacks.pop(place, None)
                self._tell()
            elif lack.again is not None:
                with suppress(NoAnswer):
                    await lack.again()
                if place in self._lacks:
                    self._lacks[place].needed_at = lack.needed_at  # it was not needed now

    async def _review_own_token(self, audiences: Sequence[str]) -> None:
        """Ask what was asked of a stranger's token, which is not kept."""
        await self.review(self.own_token, audiences)

    @contextmanager
    def _followed(
        self, kind: str, build_grant: Callable[[Account], Grant], again: Again | None = None, *, namespace: str = ""
    ) -> Iterator[None]:
        """Report and log what becomes of the questions of one kind.

        Args:
            kind: of the question.
            build_grant: returns what lets us ask.
            again: asks such a question; without it somebody else does so soon.
            namespace: that it is about, since a right may be granted in one and not in another.
        """
        place = f"{kind} in {namespace}" if namespace else kind
        try:
            yield
        except Forbidden as error:
            command = build_grant(find_account(error.detail)).command
            problem = f"{error.detail}; to grant it: {command}"
            self._lacks[place] = _Lack(problem, again, self._clock.monotonic(), is_local=bool(namespace))
            self._tell()
            raise
        except NoAnswer as error:
            self._note_failure(kind, error.detail)
            raise
        self._note_answer(kind)
        if self._lacks.pop(place, None) is not None:
            logger.info("Kubernetes, %s: allowed again", place)
        self._tell()

    def _note_failure(self, kind: str, detail: str) -> None:
        now = self._clock.monotonic()
        known = self._silences.get(kind)
        if known is None or (known.detail != detail and now - known.told_at > CALM.total_seconds()):
            self._silences[kind] = known = _Silence(detail, now, now)
            logger.warning("Kubernetes, %s: %s", kind, detail)
        known.failed_at = now

    def _note_answer(self, kind: str) -> None:
        known = self._silences.get(kind)
        if known is not None and self._clock.monotonic() - known.failed_at >= CALM.total_seconds():
            del self._silences[kind]
            logger.info("Kubernetes, %s: answered again", kind)

    def _tell(self) -> None:
        problem = "; ".join(lack.problem for lack in self._lacks.values()) or None
        if problem != self._told:
            self._told = problem
            self._report(problem)
