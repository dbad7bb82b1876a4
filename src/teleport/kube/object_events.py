"""Events of Kubernetes about an object: what `kubectl describe` shows below it."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from teleport.kube.connection import KubeConnection, Question
from teleport.resources.model import render_time

MAX_MESSAGE = 1024
"""The API server takes no longer note."""


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """Something that happened to an object, told once."""

    reason: str
    """In CamelCase, stable."""
    message: str
    is_warning: bool = False


class ObjectEvents:
    """Writes Events. Its errors are those of `KubeConnection.fetch`.

    Args:
        connection: to the API server.
        component: who reports.
        instance: which of its processes.
    """

    def __init__(self, connection: KubeConnection, *, component: str, instance: str) -> None:
        self._connection = connection
        self._component = component
        self._instance = instance

    async def post(self, about: Mapping[str, Any], event: ObjectEvent, now: datetime) -> None:
        """Write an Event about an object."""
        metadata = about["metadata"]
        time = render_time(now.replace(microsecond=0))
        regarding = {key: metadata[key] for key in ("namespace", "name", "uid")}
        body = {
            "apiVersion": "v1",
            "kind": "Event",
            # Not the object's name, which may be a secret, is what Events are known by.
            "metadata": {"name": f"{self._component}-{secrets.token_hex(8)}", "namespace": metadata["namespace"]},
            "involvedObject": {"apiVersion": about["apiVersion"], "kind": about["kind"], **regarding},
            "reason": event.reason,
            "message": event.message[:MAX_MESSAGE],
            "type": "Warning" if event.is_warning else "Normal",
            "source": {"component": self._component},
            "reportingComponent": self._component,
            "reportingInstance": self._instance,
            "action": event.reason,
            "firstTimestamp": time,
            "lastTimestamp": time,
            "count": 1,
        }
        await self._connection.call(Question("POST", f"/api/v1/namespaces/{metadata['namespace']}/events", body))
