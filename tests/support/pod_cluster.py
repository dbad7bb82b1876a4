"""Pods and ServiceAccounts in memory: a cluster that can be asked, followed, and steered."""

import asyncio
from collections.abc import AsyncGenerator, Sequence
from dataclasses import replace
from typing import Any, TypeVar

from support.fake_kube import PREFIX
from support.jwt_tokens import build_claims, sign
from teleport.kube.bound_pod import BoundPod
from teleport.kube.errors import Gone, NoAnswer
from teleport.kube.objects import Change, Listing, ObjectChange, ObjectKind, Pod, ServiceAccountObject
from teleport.kube.token_review import ReviewStatus

T = TypeVar("T")

NAMESPACE = "apps"
BOUND = BoundPod(NAMESPACE, "web-0", "pod-uid", "web", "account-uid")
POD = Pod(BOUND.name, BOUND.uid, BOUND.service_account, is_terminating=False, phase="Running")
ACCOUNT = ServiceAccountObject(NAMESPACE, BOUND.service_account, BOUND.service_account_uid)


class PodCluster:
    """An API server for one namespace, which vouches for every token.

    In the beginning it holds the pod and the account that `BOUND` names.
    """

    def __init__(self) -> None:
        self.own_token = sign(build_claims())
        self.objects: dict[str, dict[str, Any]] = {"pods": {}, "serviceaccounts": {}}
        self.failure: NoAnswer | None = None
        self.namespaces: tuple[str, ...] = (NAMESPACE,)
        self.looks = 0
        self.lists = 0
        self.watches = 0
        self._history: list[tuple[str, ObjectChange[Any]]] = []
        self._changed = asyncio.Condition()
        self._forgotten = 0
        self.objects["pods"][POD.name] = POD
        self.objects["serviceaccounts"][ACCOUNT.name] = ACCOUNT

    async def put(self, resource: str, thing: Any) -> None:
        """Make or change an object."""
        change = Change.MODIFIED if thing.name in self.objects[resource] else Change.ADDED
        self.objects[resource][thing.name] = thing
        await self._tell(resource, change, thing)

    async def delete(self, resource: str, name: str) -> None:
        """Delete an object."""
        await self._tell(resource, Change.DELETED, self.objects[resource].pop(name))

    async def evict(self) -> None:
        """Let the pod's containers end for good."""
        await self.put("pods", replace(POD, phase="Failed"))

    async def forget_history(self) -> None:
        """Break all watches, which begin too long ago now."""
        self._forgotten = len(self._history) + 1
        await self._tell("pods", None, None)

    async def review_token(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        assert token
        return ReviewStatus(
            authenticated=True,
            username=f"system:serviceaccount:{NAMESPACE}:{ACCOUNT.name}",
            uid=ACCOUNT.uid,
            groups=("system:serviceaccounts", f"system:serviceaccounts:{NAMESPACE}"),
            extra={f"{PREFIX}/pod-name": (POD.name,), f"{PREFIX}/pod-uid": (POD.uid,)},
            audiences=tuple(audiences),
        )

    async def get_pod(self, namespace: str, name: str) -> Pod | None:
        self._look(namespace)
        found: Pod | None = self.objects["pods"].get(name)
        return found

    async def get_service_account(self, namespace: str, name: str) -> ServiceAccountObject | None:
        self._look(namespace)
        found: ServiceAccountObject | None = self.objects["serviceaccounts"].get(name)
        return found

    async def get_jwks(self) -> str:
        return ""

    async def close(self) -> None:
        """There is nothing to close."""

    async def list_objects(self, kind: ObjectKind[T], namespace: str) -> Listing[T]:
        self._fail()
        self.lists += 1
        found = self.objects[kind.resource].values() if namespace == NAMESPACE else ()
        return Listing(tuple(found), str(len(self._history)))

    async def watch_objects(
        self, kind: ObjectKind[T], namespace: str, resource_version: str
    ) -> AsyncGenerator[ObjectChange[T], None]:
        self._fail()
        self.watches += 1
        place = int(resource_version)
        while True:
            if place < self._forgotten:
                raise Gone("the watch has lost its place")
            for resource, change in self._history[place:]:
                place += 1
                if resource == kind.resource and namespace == NAMESPACE:
                    yield change
            await self._wait_beyond(place)
            self._fail()

    async def _wait_beyond(self, place: int) -> None:
        async with self._changed:
            await self._changed.wait_for(lambda: max(len(self._history), self._forgotten) > place)

    async def _tell(self, resource: str, change: Change | None, thing: Any) -> None:
        version = str(len(self._history) + 1)
        self._history.append((resource, ObjectChange(version, change, thing)))
        async with self._changed:
            self._changed.notify_all()

    def _look(self, namespace: str) -> None:
        assert namespace in self.namespaces
        self._fail()
        self.looks += 1

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
