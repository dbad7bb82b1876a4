"""Labels that auth gives to hosts: those of the token by which they joined, which no agent can change."""

from collections.abc import Mapping, Sequence

from teleport.auth.records import decode, encode
from teleport.backend.protocol import Backend, Delete, Put, Write

PREFIX = "host_labels/"


class HostLabelStore:
    """The labels by host id.

    Args:
        backend: where they are.
    """

    def __init__(self, *, backend: Backend) -> None:
        self._backend = backend

    def build_write(self, host_id: str, labels: Mapping[str, Sequence[str]]) -> Write:
        """Return the write that goes into the commit of a join; a token without labels takes the former ones away."""
        return Put(PREFIX + host_id, encode(dict(labels))) if labels else Delete(PREFIX + host_id)

    async def get(self, host_id: str) -> dict[str, tuple[str, ...]]:
        """Return the labels of a host; one that was given none has none."""
        item = await self._backend.get(PREFIX + host_id)
        record = {} if item is None else decode(item.value)
        return {key: tuple(values) for key, values in record.items()}
