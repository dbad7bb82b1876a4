"""What a joined process holds: its identity, its services' certificates, and what it trusts; all of it remembered."""

import logging
import ssl

from teleport.agent.identity import AgentState, Joined, generate_keys
from teleport.agent.joining import Joiner
from teleport.agent.state import StateStore
from teleport.api.client import Client, build_identity_context
from teleport.api.messages import HostCertificatesRequest, TrustBundleRequest
from teleport.api.operations import HOST_CERTIFICATES, TRUST_BUNDLE
from teleport.api.trust import KnownAuthority
from teleport.errors import AccessDenied
from teleport.resources.role import SystemRole

logger = logging.getLogger(__name__)


class Membership:
    """The process as a member of the cluster.

    Args:
        joined: what it is so far.
        states: where it is remembered.
        hostname: of this host.
    """

    def __init__(self, joined: Joined, *, states: StateStore, hostname: str) -> None:
        self._joined = joined
        self._states = states
        self._hostname = hostname
        self._may_join_again = True
        self.trust = KnownAuthority(self._build_context())

    async def certify(self, client: Client, role: SystemRole, joiner: Joiner | None) -> None:
        """Get certificates for a service, unless they are there; a token helps where the identity does not cover it.

        The token is asked once: it grants all its roles then, and a use of it may count.

        Raises:
            AccessDenied: neither the identity nor the token covers the role.
        """
        if role in self._joined.certificates:
            return
        try:
            await self._request(client, role)
        except AccessDenied:
            if joiner is None or not self._may_join_again:
                raise
            logger.info("the identity does not cover role %s; joining once more with the token", role)
            await self._join_again(joiner)
            await self._request(client, role)

    async def follow_trust(self, client: Client) -> None:
        """Take over what the cluster trusts, if that has changed."""
        request = TrustBundleRequest(known_revision=self._joined.trust.revision)
        answer = await client.call(TRUST_BUNDLE, request)
        if answer.bundle is not None:
            self._remember(self._joined.with_trust(answer.bundle))
            logger.info("the cluster's authorities have changed; trusting what they are now")

    async def _request(self, client: Client, role: SystemRole) -> None:
        keys = generate_keys()
        request = HostCertificatesRequest(
            role=role, keys=keys.build_public_keys(self._hostname), node_name=self._hostname
        )
        certificates = await client.call(HOST_CERTIFICATES, request)
        self._remember(self._joined.with_certificates(keys, certificates))

    async def _join_again(self, joiner: Joiner) -> None:
        keys = generate_keys()
        try:
            response = await joiner.join(keys, self._joined.identity(SystemRole.INSTANCE))
        except AccessDenied:
            self._may_join_again = False
            raise
        self._may_join_again = False
        self._remember(self._joined.with_certificates(keys, response.certificates).with_trust(response.trust))

    def _remember(self, joined: Joined) -> None:
        self._states.store(AgentState(joined=joined))
        self._joined = joined
        self.trust.replace(self._build_context())

    def _build_context(self) -> ssl.SSLContext:
        return build_identity_context(self._joined.identity(SystemRole.INSTANCE))
