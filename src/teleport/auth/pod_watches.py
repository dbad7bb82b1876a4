"""Sees pods end: watches their namespaces, and confirms by a look at the pod what a watch makes it suspect."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from teleport.auth.pod_index import ASPECTS, PodIndex
from teleport.errors import TeleportError, Unavailable
from teleport.kube.access import KubernetesAccess
from teleport.kube.bound_pod import Aspect, BoundPod, Ending, find_ending, find_pod_ending
from teleport.kube.errors import TooBusy
from teleport.kube.objects import Listing, ObjectChange

MAX_NAMESPACES = 256
MAX_LOOKS = 64
"""So many pods are looked at at once."""
READY_TIMEOUT = timedelta(seconds=5)
RETRY = timedelta(seconds=1)
IDLE = timedelta(minutes=1)
"""Far longer than a join takes: after that, whoever was expected has not come."""

logger = logging.getLogger(__name__)


@dataclass(slots=True)
class _Watch:
    """A namespace that is watched."""

    unseen: set[str] = field(default_factory=lambda: {aspect.kind.resource for aspect in ASPECTS})
    """The kinds of which nothing is known yet."""
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    tasks: list[asyncio.Task[None]] = field(default_factory=list)
    is_expecting: bool = True
    """Somebody may be about to join from there."""


class PodWatches:
    """Watches namespaces on demand, at most `MAX_NAMESPACES` of them.

    Args:
        kubernetes: asked.
        pods: to whose lives somebody is bound.
        on_end: called when one of them has ended, and again where it raises a `TeleportError`.
    """

    def __init__(
        self,
        *,
        kubernetes: KubernetesAccess,
        pods: PodIndex,
        on_end: Callable[[BoundPod, Ending], Awaitable[None]],
    ) -> None:
        self._kubernetes = kubernetes
        self._pods = pods
        self._on_end = on_end
        self._watches: dict[str, _Watch] = {}
        self._suspects: dict[str, BoundPod] = {}
        self._suspected = asyncio.Event()

    async def run(self) -> None:
        """Look at what is suspected, until cancelled; that ends all watches."""
        try:
            while True:
                await self._suspected.wait()
                await self._look_at_some()
        finally:
            for namespace in list(self._watches):
                self.end(namespace)

    def begin(self, namespace: str) -> None:
        """Watch a namespace from now on, unless it is watched already.

        Raises:
            Unavailable: too many are.
        """
        if namespace in self._watches:
            return
        if len(self._watches) >= MAX_NAMESPACES:
            raise Unavailable(f"pods of {MAX_NAMESPACES} namespaces are watched already, and no further ones can be")
        self._watches[namespace] = watch = _Watch()
        watch.tasks = [asyncio.create_task(self._keep(namespace, watch, aspect)) for aspect in ASPECTS]

    async def wait_until_ready(self, namespace: str) -> None:
        """Wait until a namespace is watched, so that nothing that ends there from now on is missed.

        Raises:
            Unavailable: too many namespaces are, or Kubernetes does not answer; the log says why.
        """
        self.begin(namespace)
        watch = self._watches[namespace]
        watch.is_expecting = True
        try:
            async with asyncio.timeout(READY_TIMEOUT.total_seconds()):
                await watch.ready.wait()
        except TimeoutError as error:
            raise Unavailable("auth cannot watch pods at present; the auth server's log says why") from error

    def end(self, namespace: str) -> None:
        """Watch a namespace no longer."""
        watch = self._watches.pop(namespace, None)
        for task in watch.tasks if watch is not None else ():
            task.cancel()

    async def end_idle(self) -> None:
        """Watch no longer where the joins that were expected have failed, as those of a token shown twice.

        Who joins after all is known by its record, which begins the watch anew and looks at its pod.
        """
        while True:
            await asyncio.sleep(IDLE.total_seconds())
            for namespace, watch in list(self._watches.items()):
                if not watch.is_expecting and not self._pods.find_all(namespace):
                    self.end(namespace)
                watch.is_expecting = False

    async def is_ending(self, pod: BoundPod) -> bool:
        """Return whether a pod has ended, or is about to.

        Raises:
            Unavailable: Kubernetes does not tell.
        """
        now = await self._kubernetes.get_pod(pod.namespace, pod.name, watched=True)
        return now is None or now.is_terminating or find_pod_ending(pod, now) is not None

    def suspect(self, pod: BoundPod) -> None:
        """Have a look at a pod soon: it may have ended."""
        self._suspects[pod.uid] = pod
        self._suspected.set()

    async def _keep(self, namespace: str, watch: _Watch, aspect: Aspect[Any]) -> None:
        while True:
            try:
                await self._follow(namespace, watch, aspect)
            except Unavailable as error:  # `KubernetesAccess` has logged and reported it
                wait = max(RETRY, error.retry_after) if isinstance(error, TooBusy) else RETRY
                await asyncio.sleep(wait.total_seconds())

    async def _follow(self, namespace: str, watch: _Watch, aspect: Aspect[Any]) -> None:
        async with aclosing(self._kubernetes.follow(aspect.kind, namespace)) as sightings:
            async for seen in sightings:
                for pod in aspect.find_suspects(self._find_concerned(namespace, aspect, seen), seen):
                    self.suspect(pod)
                if isinstance(seen, Listing):
                    watch.unseen.discard(aspect.kind.resource)
                    if not watch.unseen:
                        watch.ready.set()

    def _find_concerned(
        self, namespace: str, aspect: Aspect[Any], seen: Listing[Any] | ObjectChange[Any]
    ) -> list[BoundPod]:
        if isinstance(seen, Listing):
            return self._pods.find_all(namespace)
        return [] if seen.object is None else self._pods.find_dependent(aspect, namespace, seen.object.name)

    async def _look_at_some(self) -> None:
        pods = list(self._suspects.values())[:MAX_LOOKS]
        for pod in pods:
            del self._suspects[pod.uid]
        answered = await asyncio.gather(*(self._look_at(pod) for pod in pods))
        for pod in (pod for pod, done in zip(pods, answered, strict=True) if not done):
            self._suspects.setdefault(pod.uid, pod)
        if not all(answered):
            await asyncio.sleep(RETRY.total_seconds())
        if not self._suspects:
            self._suspected.clear()

    async def _look_at(self, pod: BoundPod) -> bool:
        """Tell of a pod if it has ended; return False where that could not be found out or told."""
        try:
            now = await self._kubernetes.get_pod(pod.namespace, pod.name, watched=True)
            account = await self._kubernetes.get_service_account(pod.namespace, pod.service_account)
            ending = find_ending(pod, now, account)
            if ending is not None:
                await self._on_end(pod, ending)
        except TeleportError as error:
            logger.warning("pod %s in %s: %s; looking again", pod.name, pod.namespace, error.message)
            return False
        return True
