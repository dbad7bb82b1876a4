"""Secrets that are written for one object and vanish with it."""

from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from teleport.kube.connection import KubeConnection, Question
from teleport.kube.custom_objects import RawObject
from teleport.kube.errors import Missing
from teleport.kube.objects import read_block, read_text, require_text

MAX_OBJECT = 4 * 1024 * 1024

_APPLY = "application/apply-patch+yaml"


@dataclass(frozen=True, slots=True)
class DeliveredSecret:
    """A Secret, as far as it matters for whom it is."""

    data: Mapping[str, str] = field(repr=False)
    """What is no text is left out."""
    annotations: Mapping[str, str]
    owner: str
    """Uid of the object that controls it; empty for one that nobody does."""
    resource_version: str = ""
    """Empty for one that is not there yet."""


class DeliveredSecrets:
    """Reads and writes them. Its errors are those of `KubeConnection.fetch`.

    Args:
        connection: to the API server.
        field_manager: by which the API server tells our fields from others'.
    """

    def __init__(self, connection: KubeConnection, *, field_manager: str) -> None:
        self._connection = connection
        self._field_manager = field_manager

    async def get(self, namespace: str, name: str) -> DeliveredSecret | None:
        """Return a Secret, or None if there is none of that name."""
        try:
            raw = await self._connection.call(Question("GET", _build_path(namespace, name), limit=MAX_OBJECT))
        except Missing:
            return None
        metadata = read_block(raw, "metadata")
        return DeliveredSecret(
            data=_decode(read_block(raw, "data")),
            annotations=dict(read_block(metadata, "annotations")),
            owner=_find_controller(metadata.get("ownerReferences")),
            resource_version=require_text(metadata, "resourceVersion"),
        )

    async def put(self, owner: RawObject, name: str, secret: DeliveredSecret) -> None:
        """Write the Secret, if it is still as it was read, for the object that owns it from then on.

        Raises:
            CompareFailed: somebody else was faster.
        """
        metadata: dict[str, Any] = {
            "name": name,
            "namespace": owner["metadata"]["namespace"],
            "annotations": dict(secret.annotations),
            "labels": {"app.kubernetes.io/managed-by": self._field_manager},
            "ownerReferences": [
                {
                    "apiVersion": owner["apiVersion"],
                    "kind": owner["kind"],
                    "name": owner["metadata"]["name"],
                    "uid": owner["metadata"]["uid"],
                    "controller": True,
                }
            ],
        }
        body = {"apiVersion": "v1", "kind": "Secret", "type": "Opaque", "metadata": metadata}
        body["data"] = {key: b64encode(text.encode()).decode() for key, text in secret.data.items()}
        if not secret.resource_version:
            path = _build_path(owner["metadata"]["namespace"])
            await self._connection.call(
                Question("POST", path, body, {"fieldManager": self._field_manager}, limit=MAX_OBJECT)
            )
            return
        metadata["resourceVersion"] = secret.resource_version
        query = {"fieldManager": self._field_manager, "force": "true"}
        path = _build_path(owner["metadata"]["namespace"], name)
        await self._connection.call(Question("PATCH", path, body, query, _APPLY, limit=MAX_OBJECT))


def _build_path(namespace: str, *name: str) -> str:
    """Return the path; the names are names of objects, which the API server or the object's schema has judged."""
    return "/".join(["/api/v1/namespaces", namespace, "secrets", *name])


def _find_controller(references: object) -> str:
    for reference in references if isinstance(references, list) else []:
        if isinstance(reference, dict) and reference.get("controller") is True:
            return read_text(reference, "uid")
    return ""


def _decode(data: Mapping[str, Any]) -> Mapping[str, str]:
    texts = {}
    for key, value in data.items():
        try:
            texts[key] = b64decode(value, validate=True).decode()
        except (Base64Error, TypeError, ValueError):
            continue
    return texts
