"""Members whose membership lasts as long as a pod: one record each, below the pod's UID."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from teleport.auth.records import decode, encode
from teleport.backend.protocol import Backend, Item, Put
from teleport.kube.bound_pod import BoundPod

PREFIX = "pod_members/"
PAGE_SIZE = 1000


@dataclass(frozen=True, slots=True)
class PodMember:
    """A host or an instance of a bot, and the pod that it is bound to."""

    member_id: str
    pod: BoundPod


class PodMemberStore:
    """All of them.

    Args:
        backend: where the records are.
    """

    def __init__(self, *, backend: Backend) -> None:
        self._backend = backend

    def build_put(self, member: PodMember) -> Put:
        """Return the write that binds a member for the rest of the pod's life; it goes into the commit of the join."""
        pod = member.pod
        record = [pod.namespace, pod.name, pod.service_account, pod.service_account_uid]
        return Put(f"{PREFIX}{pod.uid}/{member.member_id}", encode(record))

    async def list_of_pod(self, pod_uid: str, *, limit: int) -> list[tuple[PodMember, Item]]:
        """Return members that are bound to a pod."""
        items = await self._backend.range(f"{PREFIX}{pod_uid}/", limit=limit)
        return [(parse_member(item), item) for item in items]

    async def list_all(self) -> AsyncIterator[PodMember]:
        """Yield every member."""
        after = ""
        while items := await self._backend.range(PREFIX, after=after, limit=PAGE_SIZE):
            for item in items:
                yield parse_member(item)
            after = items[-1].key


def parse_member(item: Item) -> PodMember:
    """Return the member of a record."""
    uid, _, member_id = item.key.removeprefix(PREFIX).partition("/")
    namespace, name, account, account_uid = decode(item.value)
    return PodMember(member_id, BoundPod(namespace, name, uid, account, account_uid))
