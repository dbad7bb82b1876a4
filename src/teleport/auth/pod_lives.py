"""Membership that lasts as long as a pod: whoever joined from it is out within seconds of the pod's end.

A bound certificate names its pod, and counts only while a record binds a member to that pod. The record is written in
the commit of the join; when the pod ends, it goes in the commit of the audit event. So there is no list of what was
revoked that would grow for ever, and a crash at any line leaves a pod that is looked at anew.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable
from contextlib import suppress
from datetime import timedelta

from teleport.auth import audit
from teleport.auth.audit import AuditLog
from teleport.auth.pod_index import PodIndex
from teleport.auth.pod_watches import PodWatches
from teleport.auth.stores import Stores
from teleport.auth.stores.pod_members import PREFIX, PodMember, parse_member
from teleport.backend.protocol import Condition, Delete, Event, Item
from teleport.errors import CompareFailed, JoinRefused, MembershipEnded, TeleportError, Unavailable
from teleport.kube.access import KubernetesAccess
from teleport.kube.bound_pod import BoundPod, Ending

RETRY = timedelta(seconds=1)
PART = 50
"""So many members are removed in one commit."""
MAX_MEMBERS = 64
"""So many members of one pod are kept: a container that restarts without its state joins as another host each time."""

logger = logging.getLogger(__name__)


class PodLives:
    """The pods to whose lives somebody is bound.

    Args:
        stores: where members and presence records are.
        kubernetes: how pods are seen; None where there is no way to it: then nobody can be bound, and those who were
            bound before stay.
        audit_log: told of every member that is out.
        cut: closes the connections of a pod's members, by the pod's UID.
    """

    def __init__(
        self,
        *,
        stores: Stores,
        kubernetes: KubernetesAccess | None,
        audit_log: AuditLog,
        cut: Callable[[str], None],
    ) -> None:
        self._backend = stores.backend
        self._members = stores.pod_members
        self._presence = stores.presence
        self._audit = audit_log
        self._cut = cut
        self._pods = PodIndex()
        self._watches = None
        if kubernetes is not None:
            self._watches = PodWatches(kubernetes=kubernetes, pods=self._pods, on_end=self._put_out)

    async def check(self, pod_uid: str) -> None:
        """Refuse those whose pod has ended.

        Raises:
            MembershipEnded: it has.
        """
        # Who joined a moment ago may not be known here yet, so that only the store has the last word.
        if pod_uid not in self._pods and not await self._members.list_of_pod(pod_uid, limit=1):
            raise MembershipEnded("the pod to which this membership was bound has ended; join anew")

    async def list_ended(self, pod_uids: Iterable[str]) -> list[str]:
        """Return those of some pods that nobody is bound to any more."""
        unknown = [uid for uid in pod_uids if uid not in self._pods]
        return [uid for uid in unknown if not await self._members.list_of_pod(uid, limit=1)]

    async def expect(self, pod: BoundPod) -> None:
        """Make sure, before somebody is bound to a pod, that its end will be seen.

        Raises:
            Unavailable: pods of its namespace cannot be watched.
        """
        if self._watches is None:
            raise Unavailable("this auth server has no way to Kubernetes and cannot watch pods")
        await self._watches.wait_until_ready(pod.namespace)

    async def check_admits(self, pod_uid: str) -> None:
        """Refuse to let a member join once more whose pod is about to end, by whatever token.

        Raises:
            JoinRefused: it is.
            Unavailable: Kubernetes does not tell.
        """
        found = await self._members.list_of_pod(pod_uid, limit=1)
        if not found or self._watches is None or await self._watches.is_ending(found[0][0].pod):
            raise JoinRefused("pod_terminating", "the pod to which the host is bound is ending")

    async def run(self) -> None:
        """Follow who is bound, and put out those whose pods end; until cancelled."""
        if self._watches is None:
            return
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watches.run())
            group.create_task(self._watches.end_idle())
            group.create_task(self._follow_members(self._watches))

    async def _follow_members(self, watches: PodWatches) -> None:
        while True:
            try:
                async with self._backend.watch(PREFIX) as events:
                    await self._load()
                    for namespace in list(self._pods.namespaces):
                        watches.end(namespace)
                        watches.begin(namespace)
                    async for event in events:
                        await self._take_over(event, watches)
            except TeleportError as error:
                logger.error("following who is bound to pods: %s; beginning anew", error.message)  # noqa: TRY400 - for operators
            await asyncio.sleep(RETRY.total_seconds())

    async def _load(self) -> None:
        """Know those who are bound, and nobody else: what happened while nobody followed them is in the store."""
        bound = {member.pod.uid: member.pod async for member in self._members.list_all()}
        for pod in self._pods.list_all():
            if pod.uid not in bound:
                self._pods.remove(pod)
        for pod in bound.values():
            self._pods.add(pod)

    async def _take_over(self, event: Event, watches: PodWatches) -> None:
        if event.item is not None:
            pod = parse_member(event.item).pod
            self._pods.add(pod)
            watches.begin(pod.namespace)
            watches.suspect(pod)  # it may have ended while its member joined
            await self._drop_oldest(pod)
        elif event.previous is not None:
            pod = parse_member(event.previous).pod
            if not await self._members.list_of_pod(pod.uid, limit=1):
                self._forget(pod)

    async def _drop_oldest(self, pod: BoundPod) -> None:
        """Forget members of containers long gone; whoever of them still lives is cut with the pod all the same."""
        found = await self._members.list_of_pod(pod.uid, limit=MAX_MEMBERS + PART)
        items = sorted((item for _, item in found), key=lambda item: item.revision)[:-MAX_MEMBERS]
        if items:
            with suppress(CompareFailed):  # another auth server was faster
                conditions = [Condition(item.key, item.revision) for item in items]
                await self._backend.commit(conditions, [Delete(item.key) for item in items])

    async def _put_out(self, pod: BoundPod, ending: Ending) -> None:
        """Remove a pod's members: first what they serve, then what lets them in."""
        out: list[str] = []
        while found := await self._members.list_of_pod(pod.uid, limit=PART):
            ids = [member.member_id for member, _ in found]
            await self._withdraw(ids)
            try:
                await self._remove(found, ending)
            except CompareFailed:
                continue  # another auth server was faster, or somebody joined once more
            logger.info("pod %s in %s: %s; %d members are out", pod.name, pod.namespace, ending, len(found))
            out += ids
        self._forget(pod)
        await self._withdraw(out)  # of a heartbeat that came in between

    async def _withdraw(self, member_ids: Iterable[str]) -> None:
        for member_id in member_ids:
            await self._presence.withdraw(member_id)

    async def _remove(self, found: list[tuple[PodMember, Item]], ending: Ending) -> None:
        events = [
            self._audit.build(
                audit.MEMBERSHIP_END,
                success=True,
                reason=ending,
                host_id=member.member_id,
                namespace=member.pod.namespace,
                pod=member.pod.name,
                pod_uid=member.pod.uid,
                service_account=member.pod.service_account,
            )
            for member, _ in found
        ]
        conditions = [Condition(item.key, item.revision) for _, item in found]
        deletions = [Delete(item.key) for _, item in found]
        await self._backend.commit(conditions, [*deletions, *(event.put for event in events)])
        self._audit.committed(*events)

    def _forget(self, pod: BoundPod) -> None:
        """Let go of a pod without members, and cut whoever is connected still."""
        self._pods.remove(pod)
        self._cut(pod.uid)
        if self._watches is not None and not self._pods.find_all(pod.namespace):
            self._watches.end(pod.namespace)
