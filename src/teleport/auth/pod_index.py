"""The pods to whose lives somebody is bound, found by what a watch tells: a namespace, or an object's name in it."""

from collections import defaultdict
from collections.abc import Collection
from typing import Any

from teleport.kube.bound_pod import ACCOUNT_ASPECT, POD_ASPECT, Aspect, BoundPod

ASPECTS: tuple[Aspect[Any], ...] = (POD_ASPECT, ACCOUNT_ASPECT)


class PodIndex:
    """Pods by UID, by namespace, and by the names of the objects on which their lives depend."""

    def __init__(self) -> None:
        self._by_uid: dict[str, BoundPod] = {}
        self._by_namespace: defaultdict[str, dict[str, BoundPod]] = defaultdict(dict)
        self._by_name: defaultdict[tuple[str, str, str], dict[str, BoundPod]] = defaultdict(dict)

    def __contains__(self, uid: str) -> bool:
        return uid in self._by_uid

    @property
    def namespaces(self) -> Collection[str]:
        """Return the namespaces of all pods."""
        return self._by_namespace.keys()

    def list_all(self) -> list[BoundPod]:
        """Return all pods."""
        return list(self._by_uid.values())

    def find_all(self, namespace: str) -> list[BoundPod]:
        """Return the pods of a namespace."""
        return list(self._by_namespace[namespace].values()) if namespace in self._by_namespace else []

    def find_dependent(self, aspect: Aspect[Any], namespace: str, name: str) -> list[BoundPod]:
        """Return the pods whose lives depend on the object of this name."""
        key = (aspect.kind.resource, namespace, name)
        return list(self._by_name[key].values()) if key in self._by_name else []

    def add(self, pod: BoundPod) -> None:
        """Take a pod in; it may be there already."""
        self._by_uid[pod.uid] = pod
        self._by_namespace[pod.namespace][pod.uid] = pod
        for aspect in ASPECTS:
            self._by_name[aspect.kind.resource, pod.namespace, aspect.name_of(pod)][pod.uid] = pod

    def remove(self, pod: BoundPod) -> None:
        """Forget a pod; it need not be there."""
        if self._by_uid.pop(pod.uid, None) is None:
            return
        _drop(self._by_namespace, pod.namespace, pod.uid)
        for aspect in ASPECTS:
            _drop(self._by_name, (aspect.kind.resource, pod.namespace, aspect.name_of(pod)), pod.uid)


def _drop(groups: dict[Any, dict[str, BoundPod]], key: Any, uid: str) -> None:  # noqa: ANN401 - of either index
    """Take a pod out of its group, and the group away when it is empty."""
    del groups[key][uid]
    if not groups[key]:
        del groups[key]
