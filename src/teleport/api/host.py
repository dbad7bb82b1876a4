"""What a service that does more than to say it is alive sees of the process it runs in, and the process of it."""

from typing import Protocol

from teleport.api.client import Client
from teleport.api.identity import Identity
from teleport.api.messages import TrustBundle
from teleport.resources.role import SystemRole


class Host(Protocol):
    """A joined process."""

    @property
    def client(self) -> Client:
        """Return the client to auth; it asks as the process's instance."""
        ...

    @property
    def host_id(self) -> str:
        """Return who the process is."""
        ...

    @property
    def cluster_name(self) -> str:
        """Return which cluster it is a member of."""
        ...

    @property
    def trust(self) -> TrustBundle:
        """Return what the cluster trusts at present."""
        ...

    def identity(self, role: SystemRole) -> Identity:
        """Return the identity of a service that is certified."""
        ...

    async def wait_for_change(self) -> None:
        """Return when certificates or trust have changed after the call; who looks and then waits misses nothing."""
        ...


class Runner(Protocol):
    """A service, which runs while its role is certified."""

    @property
    def role(self) -> SystemRole:
        """Return which service it is."""
        ...

    async def run(self, host: Host) -> None:
        """Serve until cancelled; the component of the role's name in readiness is this service's own to report.

        Raises:
            TeleportError: it cannot serve at present; it is run again after a while.
            MembershipEnded: the process is a member no longer.
        """
        ...
