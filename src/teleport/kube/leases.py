"""Leases of Kubernetes (coordination.k8s.io/v1): who holds one, and the compare-and-swap that takes or keeps it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from teleport.kube.connection import KubeConnection, Question
from teleport.kube.errors import Missing
from teleport.kube.objects import read_block, read_text, require_text

_LEASES = "/apis/coordination.k8s.io/v1/namespaces/{}/leases"


@dataclass(frozen=True, slots=True)
class Lease:
    """A lease; its times are the holder's, and nobody else's clock is held against them."""

    holder: str
    """Empty after a holder has given it back."""
    duration: timedelta
    acquired: datetime | None = None
    renewed: datetime | None = None
    transitions: int = 0
    """How often it changed hands."""
    resource_version: str = ""
    """Empty for one that does not exist yet."""


class Leases:
    """The leases of one namespace. Its errors are those of `KubeConnection.fetch`."""

    def __init__(self, connection: KubeConnection, *, namespace: str) -> None:
        self._connection = connection
        self._namespace = namespace
        self._path = _LEASES.format(namespace)

    async def get(self, name: str) -> Lease | None:
        """Return a lease, or None if there is none of that name."""
        try:
            return parse_lease(await self._connection.call(Question("GET", f"{self._path}/{name}")))
        except Missing:
            return None

    async def put(self, name: str, lease: Lease) -> Lease:
        """Create the lease, or replace it if it is still at the resource version that it names.

        Raises:
            CompareFailed: somebody else was faster.
        """
        body = self._build(name, lease)
        if lease.resource_version:
            return parse_lease(await self._connection.call(Question("PUT", f"{self._path}/{name}", body)))
        return parse_lease(await self._connection.call(Question("POST", self._path, body)))

    def _build(self, name: str, lease: Lease) -> dict[str, Any]:
        metadata = {"name": name, "namespace": self._namespace}
        if lease.resource_version:
            metadata["resourceVersion"] = lease.resource_version
        spec = {
            "holderIdentity": lease.holder,
            "leaseDurationSeconds": max(1, round(lease.duration.total_seconds())),
            "leaseTransitions": lease.transitions,
            "acquireTime": _render(lease.acquired),
            "renewTime": _render(lease.renewed),
        }
        return {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": metadata, "spec": spec}


def parse_lease(raw: Mapping[str, Any]) -> Lease:
    """Copy a lease; what is missing or of another type counts as not set.

    Raises:
        BadAnswer: it is none.
    """
    spec = read_block(raw, "spec")
    seconds, transitions = spec.get("leaseDurationSeconds"), spec.get("leaseTransitions")
    return Lease(
        holder=read_text(spec, "holderIdentity"),
        duration=timedelta(seconds=seconds if isinstance(seconds, int) else 0),
        acquired=_parse(read_text(spec, "acquireTime")),
        renewed=_parse(read_text(spec, "renewTime")),
        transitions=transitions if isinstance(transitions, int) else 0,
        resource_version=require_text(read_block(raw, "metadata"), "resourceVersion"),
    )


def _render(moment: datetime | None) -> str | None:
    """Write a MicroTime, which has six digits after the point, also where they are noughts."""
    return None if moment is None else f"{moment.astimezone(UTC):%Y-%m-%dT%H:%M:%S.%f}Z"


def _parse(text: str) -> datetime | None:
    try:
        return datetime.fromisoformat(text).astimezone(UTC)
    except ValueError:
        return None
