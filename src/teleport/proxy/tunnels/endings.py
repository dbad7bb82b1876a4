"""Cutting the tunnels of members no longer: their authority has lost its trust, or the life they hung on has ended."""

import asyncio
import logging
from datetime import timedelta

from teleport.api.host import Host
from teleport.api.messages import EndedMembershipsRequest
from teleport.api.operations import ENDED_MEMBERSHIPS
from teleport.clock import Clock
from teleport.errors import AccessDenied, TeleportError
from teleport.pki.leaf import TrustSet
from teleport.proxy.tunnels.registry import Tunnel, TunnelRegistry
from teleport.resources.authority import AuthorityType

LOOK_EVERY = timedelta(seconds=3)
ASKED_AT_ONCE = 1000

logger = logging.getLogger(__name__)


class Endings:
    """Looks again and again whether those who have tunnels are members still.

    Args:
        host: the process; its client asks auth.
        registry: the tunnels.
        clock: the present.
    """

    def __init__(self, *, host: Host, registry: TunnelRegistry, clock: Clock) -> None:
        self._host = host
        self._registry = registry
        self._clock = clock

    async def run(self) -> None:
        """Look until cancelled."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._follow_lives())
            group.create_task(self._follow_trust())

    async def _follow_lives(self) -> None:
        """Cut those that hung on the life of a pod which has ended; while auth does not answer nobody is cut."""
        while True:
            await asyncio.sleep(LOOK_EVERY.total_seconds())
            try:
                await self._look_at_lives()
            except TeleportError as error:
                logger.debug("auth does not say which memberships have ended: %s", error.message)

    async def _look_at_lives(self) -> None:
        uids = sorted({tunnel.pod_uid for tunnel in self._registry} - {""})
        for start in range(0, len(uids), ASKED_AT_ONCE):
            request = EndedMembershipsRequest(pod_uids=tuple(uids[start : start + ASKED_AT_ONCE]))
            ended = frozenset((await self._host.client.call(ENDED_MEMBERSHIPS, request)).pod_uids)
            for tunnel in self._registry:
                if tunnel.pod_uid in ended:
                    _cut(tunnel, "the pod to which its membership was bound has ended")

    async def _follow_trust(self) -> None:
        """Cut those whose certificates none of the trusted authorities has signed; each is looked at once a change."""
        while True:
            await self._host.wait_for_change()
            trusted = TrustSet(self._host.trust.tls[AuthorityType.HOST])
            for tunnel in self._registry:
                try:
                    trusted.check_issued(tunnel.certificate_der, self._clock.now())
                except AccessDenied as error:
                    _cut(tunnel, error.message)


def _cut(tunnel: Tunnel, reason: str) -> None:
    logger.warning("the tunnel of host %s at %s is cut: %s", tunnel.host_id, tunnel.remote_addr, reason)
    tunnel.session.abort()
