"""What a joined process holds: its identity, its services' certificates, and what it trusts; all of it remembered."""

import asyncio
import logging
import ssl
from collections.abc import Callable

from teleport.agent.backoff import Backoff
from teleport.agent.joining import Joiner, explain_failure
from teleport.agent.memory import AgentState
from teleport.agent.state import StateStore
from teleport.api.client import Client, build_identity_context
from teleport.api.joined import Joined, generate_keys
from teleport.api.messages import HostCertificatesRequest, TrustBundleRequest
from teleport.api.operations import HOST_CERTIFICATES, TRUST_BUNDLE
from teleport.api.trust import KnownAuthority
from teleport.errors import AccessDenied, MembershipEnded, TeleportError
from teleport.resources.role import SystemRole

logger = logging.getLogger(__name__)

_ADVICE = "let its token be for that role too, or give it one that is, and restart it"


class Membership:
    """The process as a member of the cluster.

    What it is counts from the moment that auth has said so, and is stored as soon as that can be. A crash in between
    costs no use of a token: its keys are stored before they are shown, and asked again with the same ones soon, auth
    counts them once.

    Args:
        joined: what it is so far.
        states: where it is remembered.
        hostname: of this host.
        is_new: it has joined just now, so this is not stored yet.
    """

    def __init__(self, joined: Joined, *, states: StateStore, hostname: str, is_new: bool = False) -> None:
        self._joined = joined
        self._states = states
        self._hostname = hostname
        self._may_join_again = not is_new
        """A token that has just been used grants no more when it is used again."""
        self._changed = asyncio.Event()
        self._news = asyncio.Event()
        if is_new:
            self._changed.set()
        self.trust = KnownAuthority(self._build_context())

    @property
    def joined(self) -> Joined:
        """Return what the process is at present."""
        return self._joined

    async def wait_for_change(self) -> None:
        """Return when something of it has changed after the call."""
        await self._news.wait()

    async def keep_stored(self, report: Callable[[str | None], None]) -> None:
        """Store whatever changes, again and again until it is stored; until cancelled.

        Args:
            report: told None when all is stored, and what is wrong when it is not.
        """
        backoff = Backoff()
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                await self._states.store(AgentState(joined=self._joined))
            except TeleportError as error:
                self._changed.set()
                report(error.message)
                await backoff.wait()
            else:
                report(None)
                backoff.reset()

    async def certify(self, client: Client, role: SystemRole, joiner: Joiner | None) -> None:
        """Get certificates for a service, unless they are there; a token helps where the identity does not cover it.

        The token is asked once: it grants all its roles then, and a use of it may count.

        Raises:
            AccessDenied: neither the identity nor the token covers the role.
            MembershipEnded: this process is a member no longer.
        """
        if role in self._joined.certificates:
            return
        try:
            await self._request(client, role)
        except MembershipEnded:
            raise
        except AccessDenied as refusal:
            if joiner is None or not self._may_join_again:
                raise AccessDenied(f"{refusal.message}; {_ADVICE}") from refusal
            logger.info("%s; joining once more with the token", refusal.message)
            await self._join_again(joiner, refusal)
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

    async def _join_again(self, joiner: Joiner, reason: AccessDenied) -> None:
        """Join with the keys of the first time, which are stored: a use that is asked for again counts once."""
        keys = self._joined.keys[SystemRole.INSTANCE]
        try:
            response = await joiner.join(keys, self._joined.identity(SystemRole.INSTANCE))
        except AccessDenied as error:
            self._may_join_again = False
            raise AccessDenied(f"{reason.message}, and the token does not help: {explain_failure(error)}") from error
        self._may_join_again = False
        self._remember(self._joined.with_certificates(keys, response.certificates).with_trust(response.trust))

    def _remember(self, joined: Joined) -> None:
        self._joined = joined
        self.trust.replace(self._build_context())
        self._changed.set()
        self._news.set()
        self._news = asyncio.Event()

    def _build_context(self) -> ssl.SSLContext:
        return build_identity_context(self._joined.identity(SystemRole.INSTANCE))
