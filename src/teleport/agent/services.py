"""What a process declares about its services: one record for each, or one for each thing that a service serves."""

import asyncio
from collections.abc import Callable

from teleport.agent.labels import CommandLabels
from teleport.api.messages import Document
from teleport.config.settings import ServiceSettings, Target
from teleport.resources.codec import to_plain
from teleport.resources.model import Labels, Metadata
from teleport.resources.presence import SERVER_ROLES, Server, ServerSpec
from teleport.resources.role import SystemRole
from teleport.version import VERSION

ORIGIN_LABEL = "teleport.dev/origin"
_KINDS = {role: kind for kind, role in SERVER_ROLES.items()}
_SERVING_ROLES = frozenset({SystemRole.APP, SystemRole.DB, SystemRole.KUBE})
"""Services that declare what they serve, and nothing when they serve nothing."""


class Service:
    """One service of the process.

    Args:
        settings: what the configuration says of it.
        hostname: of this host.
        on_change: called when what it declares has changed.
    """

    def __init__(self, settings: ServiceSettings, *, hostname: str, on_change: Callable[[], None]) -> None:
        self.role = settings.role
        self.certified = False
        """Whether there is a certificate for it; before that it is not declared."""
        self._settings = settings
        self._hostname = hostname
        self._labels = CommandLabels(settings.commands, on_change)
        self._target_labels = {target.name: CommandLabels(target.commands, on_change) for target in settings.targets}

    @property
    def component(self) -> str:
        """Return the name by which readiness tells of it."""
        return self.role.value.lower()

    async def run_label_commands(self) -> None:
        """Keep the labels that commands compute up to date, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for labels in (self._labels, *self._target_labels.values()):
                group.create_task(labels.run())

    def build_records(self) -> list[Document]:
        """Return the records as a heartbeat carries them."""
        if self.role in _SERVING_ROLES:
            return [to_plain(self._build_target(target)) for target in self._settings.targets]
        return [to_plain(self._build_service())]

    def _build_service(self) -> Server:
        public = self._settings.public_addrs
        spec = ServerSpec(
            hostname=self._hostname,
            version=VERSION,
            public_addr=str(public[0]) if public else "",
            dynamic_labels=self._labels.values,
        )
        return Server(kind=_KINDS[self.role], metadata=Metadata(labels=dict(self._settings.labels)), spec=spec)

    def _build_target(self, target: Target) -> Server:
        labels: Labels = {**self._settings.labels, **target.labels, ORIGIN_LABEL: "config"}
        spec = ServerSpec(
            hostname=self._hostname,
            version=VERSION,
            public_addr=target.public_addr,
            dynamic_labels=self._target_labels[target.name].values,
            uri=target.uri,
            protocol=target.protocol,
        )
        metadata = Metadata(name=target.name, description=target.description, labels=labels)
        return Server(kind=_KINDS[self.role], metadata=metadata, spec=spec)
