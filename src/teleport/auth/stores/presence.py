"""Presence records: each lives until shortly after its host fell silent."""

from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta

from teleport.auth.records import decode, encode
from teleport.backend.protocol import MAX_COMMIT_WRITES, Backend, Condition, Delete, Item, Put, Write
from teleport.errors import CompareFailed, NotFound
from teleport.resources.codec import parse_resource, to_plain
from teleport.resources.model import Resource
from teleport.resources.presence import Instance, Server

SERVER_LIFE = timedelta(minutes=10)
INSTANCE_LIFE = timedelta(minutes=20)


class PresenceStore:
    """What is alive.

    Args:
        backend: where the records are.
    """

    def __init__(self, *, backend: Backend) -> None:
        self._backend = backend

    async def announce(
        self, instance: Instance, servers: Sequence[Server], now: datetime, *, process: str = ""
    ) -> None:
        """Store a host's records anew, and remove those that it no longer declares."""
        keys = [_key(server.kind, server.name) for server in servers]
        gone = set(await self._declared_by(instance.name)) - set(keys)
        record = {"instance": to_plain(instance), "servers": keys, "process": process}
        writes: list[Write] = [Put(_key("instance", instance.name), encode(record), now + INSTANCE_LIFE)]
        writes += [
            Put(key, encode(to_plain(server)), now + SERVER_LIFE) for key, server in zip(keys, servers, strict=True)
        ]
        await self._write([*writes, *(Delete(key) for key in sorted(gone))])

    async def put_server(self, server: Server, now: datetime) -> None:
        """Store one record that stands for itself, as an auth server's."""
        put = Put(_key(server.kind, server.name), encode(to_plain(server)), now + SERVER_LIFE)
        await self._backend.commit([], [put])

    async def withdraw(self, host_id: str) -> None:
        """Remove all records of a host; of one that has none nothing is written."""
        item = await self._backend.get(_key("instance", host_id))
        if item is not None:
            await self._write(_build_removal(item))

    async def withdraw_process(self, host_id: str, process: str) -> None:
        """Remove the records of a host as long as they are of the process that says goodbye."""
        item = await self._backend.get(_key("instance", host_id))
        if item is not None and decode(item.value).get("process", "") == process:
            with suppress(CompareFailed):  # another one has just announced itself
                await self._write(_build_removal(item), [Condition(item.key, item.revision)])

    async def get(self, kind: str, name: str) -> Resource:
        """Return one record.

        Raises:
            NotFound: there is none, or its host fell silent.
        """
        item = await self._backend.get(_key(kind, name))
        if item is None:
            raise NotFound(f"{kind} {name!r} not found")
        return _parse(kind, item)

    async def list_page(self, kind: str, *, after: str, limit: int) -> tuple[list[Resource], str]:
        """Return a page of records of a kind, and the mark of the next page or an empty one."""
        items = await self._backend.range(_key(kind, ""), after=after, limit=limit)
        return [_parse(kind, item) for item in items], items[-1].key if len(items) == limit else ""

    async def delete(self, kind: str, name: str) -> None:
        """Remove a record; a host that is alive brings it back with its next heartbeat.

        Raises:
            NotFound: there is none.
        """
        await self.get(kind, name)
        await self._backend.commit([], [Delete(_key(kind, name))])

    async def _write(self, writes: Sequence[Write], conditions: Sequence[Condition] = ()) -> None:
        """Commit in parts that every backend takes; the records of one host need not change at the same instant."""
        for start in range(0, len(writes), MAX_COMMIT_WRITES):
            await self._backend.commit(conditions if start == 0 else [], writes[start : start + MAX_COMMIT_WRITES])

    async def _declared_by(self, host_id: str) -> list[str]:
        item = await self._backend.get(_key("instance", host_id))
        return [] if item is None else _read_declared(item)


def _build_removal(item: Item) -> list[Write]:
    return [Delete(item.key), *(Delete(key) for key in _read_declared(item))]


def _read_declared(item: Item) -> list[str]:
    return list(decode(item.value)["servers"])


def _key(kind: str, name: str) -> str:
    return f"presence/{kind}/{name}"


def _parse(kind: str, item: Item) -> Resource:
    record = decode(item.value)
    resource = parse_resource(record["instance"] if kind == "instance" else record)
    return resource.with_metadata(revision=str(item.revision), expires=item.expires)
