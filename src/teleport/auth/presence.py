"""Heartbeats: from what a host says of itself to the records that everybody sees.

A host speaks for itself only: the host id comes from its certificate, and so do the services that it may declare.
"""

from typing import Any

from teleport.api.messages import GoodbyeRequest, HeartbeatRequest
from teleport.auth.access import Caller, check_service_role
from teleport.auth.stores.presence import SERVER_LIFE, PresenceStore
from teleport.clock import Clock
from teleport.errors import BadParameter
from teleport.resources.codec import parse_resource
from teleport.resources.model import Metadata, check_labels, check_name
from teleport.resources.presence import SERVER_ROLES, Instance, InstanceSpec, Server

MAX_SERVER_BYTES = 64 * 1024


class Heartbeats:
    """The use case of saying: alive, and: gone.

    Args:
        presence: where the records are.
        clock: when they are made.
    """

    def __init__(self, *, presence: PresenceStore, clock: Clock) -> None:
        self._presence = presence
        self._clock = clock

    async def announce(self, request: HeartbeatRequest, caller: Caller) -> int:
        """Store what a host declares and return how many seconds it stays.

        Raises:
            AccessDenied: the host declares a service that its certificate does not cover.
            BadParameter: a record is malformed or too large.
        """
        servers = [self._parse(raw, caller) for raw in request.servers]
        if len({(server.kind, server.name) for server in servers}) < len(servers):
            raise BadParameter("two records of one kind have the same name")
        now = self._clock.now()
        instance = Instance(
            metadata=Metadata(name=caller.name),
            spec=InstanceSpec(
                hostname=request.hostname,
                version=request.version,
                services=tuple(sorted({SERVER_ROLES[server.kind] for server in servers})),
                last_seen=now,
            ),
        )
        await self._presence.announce(instance, servers, now, process=request.process)
        return int(SERVER_LIFE.total_seconds())

    async def withdraw(self, request: GoodbyeRequest, caller: Caller) -> None:
        """Remove everything that a process declared, unless its host has another one meanwhile, as after a restart."""
        await self._presence.withdraw_process(caller.name, request.process)

    def _parse(self, raw: dict[str, Any], caller: Caller) -> Server:
        server = parse_resource(raw)
        if not isinstance(server, Server):
            raise BadParameter(f"a heartbeat cannot declare a {server.kind}")
        check_service_role(caller, SERVER_ROLES[server.kind])
        check_labels(server.metadata.labels, "labels")
        check_labels(server.spec.dynamic_labels, "dynamic labels")
        if len(server.model_dump_json()) > MAX_SERVER_BYTES:
            raise BadParameter(f"a record is larger than {MAX_SERVER_BYTES} bytes")
        return server.model_copy(
            update={
                "metadata": Metadata(
                    name=_build_name(caller.name, server.name),
                    description=server.metadata.description,
                    labels=server.metadata.labels,
                ),
                "spec": server.spec.model_copy(update={"host_id": caller.name}),
            }
        )


def _build_name(host_id: str, declared: str) -> str:
    """Return the record's name: the host's id, followed by what it serves where it says so."""
    if not declared:
        return host_id
    check_name(declared, "a served resource's name")
    if "/" in declared:
        raise BadParameter("a served resource's name must not contain a slash")
    return f"{host_id}/{declared}"
