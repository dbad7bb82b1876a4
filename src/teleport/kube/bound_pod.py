"""A pod to whose life something is bound, and what ends that. Pure: what Kubernetes says comes in as arguments."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from typing import Generic, Protocol, TypeVar

from teleport.kube.objects import (
    PODS,
    SERVICE_ACCOUNTS,
    Change,
    Listing,
    ObjectChange,
    ObjectKind,
    Pod,
    ServiceAccountObject,
)

_FINISHED = frozenset({"Succeeded", "Failed"})


@dataclass(frozen=True, slots=True)
class BoundPod:
    """A pod and its ServiceAccount as they were when somebody vouched for them."""

    namespace: str
    name: str
    uid: str
    service_account: str
    service_account_uid: str


class Ending(StrEnum):
    """Why a pod's life is over."""

    POD_GONE = "pod_gone"
    """The object is not there any more."""
    POD_REPLACED = "pod_uid_mismatch"
    """Another pod has its name."""
    POD_FINISHED = "pod_finished"
    """None of its containers will run again, as when it was evicted."""
    SERVICE_ACCOUNT_GONE = "service_account_gone"
    SERVICE_ACCOUNT_REPLACED = "service_account_recreated"


def find_ending(bound: BoundPod, pod: Pod | None, account: ServiceAccountObject | None) -> Ending | None:
    """Return what has ended the life, or None while it lasts; a pod that is about to end still lives.

    Args:
        bound: as it was.
        pod: of that name, as it is now.
        account: of that name, as it is now.
    """
    return find_pod_ending(bound, pod) or find_account_ending(bound, account)


def find_pod_ending(bound: BoundPod, pod: Pod | None) -> Ending | None:
    """Return what of the pod itself has ended the life."""
    if pod is None:
        return Ending.POD_GONE
    if pod.uid != bound.uid:
        return Ending.POD_REPLACED
    return Ending.POD_FINISHED if pod.phase in _FINISHED else None


def find_account_ending(bound: BoundPod, account: ServiceAccountObject | None) -> Ending | None:
    """Return what of the ServiceAccount has ended the life."""
    if account is None:
        return Ending.SERVICE_ACCOUNT_GONE
    return Ending.SERVICE_ACCOUNT_REPLACED if account.uid != bound.service_account_uid else None


class _Named(Protocol):
    @property
    def name(self) -> str: ...


T = TypeVar("T", bound=_Named)


@dataclass(frozen=True, slots=True)
class Aspect(Generic[T]):
    """One kind of object on which the life of a pod depends."""

    kind: ObjectKind[T]
    name_of: Callable[[BoundPod], str]
    find_ending: Callable[[BoundPod, T | None], Ending | None]

    def find_suspects(self, pods: Iterable[BoundPod], seen: Listing[T] | ObjectChange[T]) -> list[BoundPod]:
        """Return the pods whose life may be over by what was seen.

        A listing may be older than the pod, and a change may tell of an earlier object of the same name: only a look
        at what is there now confirms it.
        """
        if isinstance(seen, Listing):
            present = {each.name: each for each in seen.objects}
            return [pod for pod in pods if self.find_ending(pod, present.get(self.name_of(pod)))]
        if seen.object is None:
            return []
        now = None if seen.change is Change.DELETED else seen.object
        return [pod for pod in pods if self.name_of(pod) == seen.object.name and self.find_ending(pod, now)]


POD_ASPECT = Aspect(PODS, lambda pod: pod.name, find_pod_ending)
ACCOUNT_ASPECT = Aspect(SERVICE_ACCOUNTS, lambda pod: pod.service_account, find_account_ending)
