"""One auth server's way to the Kubernetes cluster that it is in, or is told of."""

import re
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from enum import StrEnum

from teleport.clock import Clock
from teleport.kube.api import Forbidden, KubeApi, Pod
from teleport.kube.reviewer import MAX_IN_FLIGHT, TokenReviewer
from teleport.kube.token_review import ReviewStatus

_ACCOUNT = re.compile(r'User "system:serviceaccount:([a-z0-9-]+):([a-z0-9.-]+)"')

Report = Callable[[str | None], None]
"""Told None when Kubernetes answers, and what a person must do when it does not let us ask."""


class Verification(StrEnum):
    """How tokens of the own cluster are verified; chosen by the configuration and never fallen back to."""

    TOKENREVIEW = "tokenreview"
    """The API server is asked about each; it knows of pods that are gone."""
    JWKS = "jwks"
    """The signature is verified by the cluster's keys, which any ServiceAccount may read; a deleted pod goes unseen."""


def build_grant(message: str) -> str:
    """Return the command that lets a ServiceAccount review tokens, from what the API server said when it refused."""
    found = _ACCOUNT.search(message)
    namespace, name = found.groups() if found else ("NAMESPACE", "SERVICEACCOUNT")
    return (
        f"kubectl create clusterrolebinding {namespace}-{name}-auth-delegator "
        f"--clusterrole=system:auth-delegator --serviceaccount={namespace}:{name}"
    )


class KubernetesAccess:
    """What a judge may ask Kubernetes.

    Args:
        api: the client.
        clock: for deadlines.
        verification: how tokens are verified.
        max_in_flight: so many reviews are under way at once.
        observe: returns what measures one review.
        report: told how the right to ask fares.
    """

    def __init__(
        self,
        *,
        api: KubeApi,
        clock: Clock,
        verification: Verification = Verification.TOKENREVIEW,
        max_in_flight: int = MAX_IN_FLIGHT,
        observe: Callable[[], AbstractContextManager[object]] = nullcontext,
        report: Report = lambda _: None,
    ) -> None:
        self.verification = verification
        self._api = api
        self._reviewer = TokenReviewer(api=api, clock=clock, max_in_flight=max_in_flight, observe=observe)
        self._report = report

    @property
    def own_token(self) -> str:
        """Return auth's own ServiceAccount token.

        Raises:
            Unavailable: it cannot be read.
        """
        return self._api.own_token

    async def close(self) -> None:
        """Close the connections to the API server."""
        await self._api.close()

    async def review(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        """Return what the API server says of a token.

        Raises:
            Unavailable: it does not answer, or does not let auth ask.
        """
        try:
            status = await self._reviewer.review(token, audiences)
        except Forbidden as error:
            self._report(f"{error.message}; to grant it: {build_grant(error.message)}")
            raise
        self._report(None)
        return status

    async def get_pod(self, namespace: str, name: str) -> Pod | None:
        """Return a pod as it is now, or None.

        Raises:
            Unavailable: the API server does not answer, or does not let auth ask.
        """
        try:
            return await self._api.get_pod(namespace, name)
        except Forbidden as error:
            self._report(f"{error.message}; verify_pod needs a ClusterRole that allows get on pods")
            raise

    async def load_cluster_keys(self) -> str:
        """Return the keys by which the cluster signs.

        Raises:
            Unavailable: the API server does not answer.
        """
        return await self._api.get_jwks()
