"""Running services inside a joined process: begun when they are certified, and again when they fail."""

import asyncio
import logging

from teleport.agent.backoff import Backoff
from teleport.agent.membership import Membership
from teleport.api.client import Client
from teleport.api.host import Host, Runner
from teleport.api.identity import Identity
from teleport.api.messages import TrustBundle
from teleport.errors import MembershipEnded, TeleportError
from teleport.resources.role import SystemRole
from teleport.web.readiness import Readiness

logger = logging.getLogger(__name__)


class MemberHost:
    """The process as its services see it.

    Args:
        membership: what the process holds.
        client: to auth.
    """

    def __init__(self, membership: Membership, client: Client) -> None:
        self._membership = membership
        self.client = client

    @property
    def host_id(self) -> str:
        """Return who the process is."""
        return self._membership.joined.host_id

    @property
    def cluster_name(self) -> str:
        """Return which cluster it is a member of."""
        return self.trust.cluster_name

    @property
    def trust(self) -> TrustBundle:
        """Return what the cluster trusts at present."""
        return self._membership.joined.trust

    def identity(self, role: SystemRole) -> Identity:
        """Return the identity of a service that is certified."""
        return self._membership.joined.identity(role)

    async def wait_for_change(self) -> None:
        """Return when certificates or trust have changed after the call."""
        await self._membership.wait_for_change()


async def keep_running(runner: Runner, host: Host, *, certified: asyncio.Event, readiness: Readiness) -> None:
    """Run a service as soon as it is certified, and again whenever it gives up; until cancelled.

    Args:
        runner: the service.
        host: the process.
        certified: is set when there are certificates.
        readiness: told what is wrong; that all is well is the service's own to say.

    Raises:
        MembershipEnded: the process is a member no longer.
    """
    await certified.wait()
    backoff = Backoff()
    while True:
        try:
            await runner.run(host)
        except MembershipEnded:
            raise
        except TeleportError as error:
            logger.error("service %s: %s", runner.role.lower(), error.message)  # noqa: TRY400 - for operators
            readiness.fail(runner.role.lower(), error.message)
        await backoff.wait()
