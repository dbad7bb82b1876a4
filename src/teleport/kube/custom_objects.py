"""Objects of one custom kind: read whole or as metadata alone, and the two parts of them that an operator writes."""

from collections.abc import AsyncGenerator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from teleport.errors import CompareFailed
from teleport.kube.connection import JSON, KubeConnection, Question
from teleport.kube.errors import BadAnswer, Missing
from teleport.kube.objects import read_block, read_text, require_text

PAGE_SIZE = 250
MAX_PAGE = 64 * 1024 * 1024
MAX_OBJECT = 4 * 1024 * 1024
MAX_PAGES = 1000

_METADATA_ONLY = "application/json;as=PartialObjectMetadataList;g=meta.k8s.io;v=v1"
_APPLY = "application/apply-patch+yaml"
_MERGE = "application/merge-patch+json"

RawObject = Mapping[str, Any]
"""As the API server gives it, without `metadata.managedFields`, which nobody here reads."""


@dataclass(frozen=True, slots=True)
class CustomKind:
    """Which objects: their API group, version, plural and kind."""

    group: str
    version: str
    plural: str
    kind: str


@dataclass(frozen=True, slots=True)
class ObjectHead:
    """What tells whether an object is still as it was."""

    namespace: str
    name: str = field(repr=False)
    resource_version: str


class CustomObjects:
    """The objects of one kind. Its errors are those of `KubeConnection.fetch`.

    Args:
        connection: to the API server.
        kind: of the objects.
        field_manager: by which the API server tells our fields from others'.
    """

    def __init__(self, connection: KubeConnection, kind: CustomKind, *, field_manager: str) -> None:
        self._connection = connection
        self._kind = kind
        self._field_manager = field_manager

    async def list_objects(self, namespace: str = "") -> AsyncGenerator[RawObject, None]:
        """Yield all objects of a namespace, or of all of them; they come page by page.

        Raises:
            Missing: the API server does not know the kind.
        """
        async for item in self._list(namespace, JSON):
            yield without_managed_fields(item)

    async def list_heads(self, namespace: str = "") -> AsyncGenerator[ObjectHead, None]:
        """Yield the heads of all objects, which cost a fraction of the whole.

        Raises:
            Missing: the API server does not know the kind.
        """
        async for item in self._list(namespace, _METADATA_ONLY):
            metadata = read_block(item, "metadata")
            yield ObjectHead(
                namespace=require_text(metadata, "namespace"),
                name=require_text(metadata, "name"),
                resource_version=require_text(metadata, "resourceVersion"),
            )

    async def get(self, namespace: str, name: str) -> RawObject | None:
        """Return an object as it is now, or None."""
        try:
            found = await self._connection.call(Question("GET", self._path(namespace, name), limit=MAX_OBJECT))
        except Missing:
            return None
        return without_managed_fields(found)

    async def set_finalizers(self, raw: RawObject, finalizers: Sequence[str]) -> RawObject | None:
        """Replace the finalizers of an object that is still as it was; return it, or None if it is gone.

        Raises:
            CompareFailed: it changed meanwhile.
        """
        metadata = raw["metadata"]
        body = {"metadata": {"resourceVersion": metadata["resourceVersion"], "finalizers": list(finalizers)}}
        path = self._path(metadata["namespace"], metadata["name"])
        question = Question("PATCH", path, body, self._manager(), _MERGE, limit=MAX_OBJECT)
        try:
            return without_managed_fields(await self._connection.call(question))
        except Missing:
            return None

    async def apply_status(self, raw: RawObject, status: Mapping[str, Any]) -> RawObject | None:
        """Write the status of this very object by server-side apply; return the object, or None if it is gone."""
        metadata = raw["metadata"]
        body = {
            "apiVersion": f"{self._kind.group}/{self._kind.version}",
            "kind": self._kind.kind,
            "metadata": {key: metadata[key] for key in ("name", "namespace", "uid")},
            "status": status,
        }
        path = self._path(metadata["namespace"], metadata["name"], "status")
        question = Question("PATCH", path, body, self._manager() | {"force": "true"}, _APPLY, limit=MAX_OBJECT)
        try:
            return without_managed_fields(await self._connection.call(question))
        except (Missing, CompareFailed):  # of that uid there is none any more; forced, nothing else can conflict
            return None

    async def _list(self, namespace: str, accept: str) -> AsyncGenerator[Mapping[str, Any], None]:
        query = {"limit": str(PAGE_SIZE)}
        for _ in range(MAX_PAGES):
            question = Question("GET", self._path(namespace), query=query, accept=accept, limit=MAX_PAGE)
            page = await self._connection.call(question)
            items = page.get("items")
            for item in items if isinstance(items, list) else []:
                if isinstance(item, dict):
                    yield item
            query["continue"] = read_text(read_block(page, "metadata"), "continue")
            if not query["continue"]:
                return
        raise BadAnswer(f"there are more than {MAX_PAGES * PAGE_SIZE} {self._kind.plural}")

    def _path(self, namespace: str, *rest: str) -> str:
        """Return the path of the collection or of an object; names come from the API server itself."""
        where = ["namespaces", namespace] if namespace else []
        return "/".join(["/apis", self._kind.group, self._kind.version, *where, self._kind.plural, *rest])

    def _manager(self) -> dict[str, str]:
        return {"fieldManager": self._field_manager}


def without_managed_fields(raw: Mapping[str, Any]) -> RawObject:
    """Return the object without the part that is half of it and that nobody here reads."""
    metadata = {key: value for key, value in raw["metadata"].items() if key != "managedFields"}
    return {**raw, "metadata": metadata}
