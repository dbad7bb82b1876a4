"""Secrets that are delivered for objects, as an API server keeps them in the namespace `teleport`."""

from dataclasses import replace

from teleport.errors import CompareFailed, TeleportError
from teleport.kube.custom_objects import RawObject
from teleport.kube.delivered_secrets import DeliveredSecret


class WrittenSecrets:
    """The Secrets of a namespace, with versions; every call fails while a test says so."""

    def __init__(self) -> None:
        self.stored: dict[str, DeliveredSecret] = {}
        self.failure: TeleportError | None = None

    def put_other(self, name: str, data: dict[str, str], owner: str = "") -> None:
        """Write a Secret as somebody else."""
        self.stored[name] = DeliveredSecret(data, {}, owner, resource_version=str(len(self.stored) + 1))

    async def get(self, namespace: str, name: str) -> DeliveredSecret | None:
        assert namespace == "teleport"
        self._fail()
        return self.stored.get(name)

    async def put(self, owner: RawObject, name: str, secret: DeliveredSecret) -> None:
        self._fail()
        present = self.stored.get(name)
        if secret.resource_version != ("" if present is None else present.resource_version):
            raise CompareFailed("it was written meanwhile")
        version = str(int(secret.resource_version or "0") + 1)
        self.stored[name] = replace(secret, owner=owner["metadata"]["uid"], resource_version=version)

    def _fail(self) -> None:
        if self.failure is not None:
            raise self.failure
