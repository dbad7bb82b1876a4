"""One object on an API server, written as an operator writes, and by others."""

from collections.abc import Mapping, Sequence
from typing import Any

from teleport.errors import CompareFailed
from teleport.kube.custom_objects import RawObject


class OneObject:
    """It may be gone, or be made anew."""

    def __init__(self, raw: dict[str, Any]) -> None:
        self.stored: dict[str, Any] | None = raw
        self.written: list[str] = []

    def change(self, **changes: Any) -> dict[str, Any]:
        """Let the object be another one."""
        assert self.stored is not None
        version = str(int(self.stored["metadata"]["resourceVersion"]) + 1)
        metadata = self.stored["metadata"] | {"resourceVersion": version} | changes.pop("metadata", {})
        self.stored = {**self.stored, **changes, "metadata": metadata}
        return self.stored

    async def apply_status(self, raw: RawObject, status: Mapping[str, Any]) -> RawObject | None:
        self.written.append("status")
        if self.stored is None or self.stored["metadata"]["uid"] != raw["metadata"]["uid"]:
            return None
        return self.change(status=status)

    async def set_finalizers(self, raw: RawObject, finalizers: Sequence[str]) -> RawObject | None:
        self.written.append("finalizers")
        if self.stored is None:
            return None
        if raw["metadata"]["resourceVersion"] != self.stored["metadata"]["resourceVersion"]:
            raise CompareFailed("the object has been modified")
        return self.change(metadata={"finalizers": list(finalizers)})
