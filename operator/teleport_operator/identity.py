"""Who the operator is to the cluster: a bot that joins with its pod's token, or whoever an identity file says."""

import logging
from pathlib import Path
from typing import Protocol

from teleport.api.client import open_client
from teleport.api.identity import Identity, load_identity
from teleport.api.joined import build_joined, generate_keys
from teleport.api.messages import Empty, JoinRequest
from teleport.api.operations import JOIN, TRUST
from teleport.api.trust import KnownAuthority, PinnedConnection, ServerTrust
from teleport.clock import Clock
from teleport.errors import JoinRefused, TrustError
from teleport.join.method import JoinMethod
from teleport.resources.address import Address
from teleport.resources.role import SystemRole
from teleport.version import VERSION
from teleport.web.tls import build_client_context

NODE_NAME = "teleport-operator"

logger = logging.getLogger(__name__)


class IdentitySource(Protocol):
    """Where an identity comes from."""

    async def get(self) -> Identity:
        """Return a present one."""
        ...


class FileIdentity:
    """An identity file, for development: read anew each time, since somebody may renew it."""

    def __init__(self, path: Path) -> None:
        self._path = path

    async def get(self) -> Identity:
        """Return what the file holds."""
        return load_identity(self._path)


class BotJoin:
    """Joins as a bot.

    Args:
        address: of the auth server.
        token_name: of the provision token that admits the operator.
        method_name: by which it does so.
        method: makes the proof, anew for each attempt.
        pins: by which the auth server is recognised at the first contact.
        ca_pems: the same, where certificates are given instead.
        clock: for the check of pins.
    """

    def __init__(
        self,
        *,
        address: Address,
        token_name: str,
        method_name: str,
        method: JoinMethod,
        pins: tuple[str, ...],
        ca_pems: tuple[str, ...],
        clock: Clock,
    ) -> None:
        self._address = address
        self._token_name = token_name
        self._method = method
        self._method_name = method_name
        self._pins = pins
        self._ca_pems = ca_pems
        self._clock = clock
        self._known: tuple[str, ...] = ()
        """Host CAs that the cluster itself has named: they follow a rotation, which pins do not."""

    async def get(self) -> Identity:
        """Join, by what is known of the cluster since the last time or else by pins or certificates.

        Raises:
            TeleportError: it does not work at present.
        """
        if self._known:
            try:
                return await self._join(KnownAuthority(build_client_context(ca_pems=self._known)))
            except TrustError:
                logger.warning("the auth server is not the one that was joined before; looking at the CA pins again")
        if self._ca_pems:
            return await self._join(KnownAuthority(build_client_context(ca_pems=self._ca_pems)))
        return await self._join(PinnedConnection(self._pins))

    async def _join(self, trust: ServerTrust) -> Identity:
        keys = generate_keys()
        async with open_client(self._address, trust) as client:
            server = await client.call(TRUST, Empty())
            if isinstance(trust, PinnedConnection):
                trust.verify(server.host_ca_certificates, cluster_name=server.cluster_name, clock=self._clock)
            request = JoinRequest(
                token_name=self._token_name,
                join_method=self._method_name,
                role=SystemRole.BOT,
                keys=keys.build_public_keys(NODE_NAME),
                proof=self._method.prove(),
                client_version=VERSION,
            )
            try:
                response = await client.call(JOIN, request)
            except JoinRefused as refusal:
                hint = self._method.explain(server.cluster_name)
                raise JoinRefused(refusal.reason, hint, public=f"{refusal.message}; {hint}") from refusal
        identity = build_joined(keys, response).identity(SystemRole.BOT)
        self._known = identity.host_ca_certificates
        return identity
