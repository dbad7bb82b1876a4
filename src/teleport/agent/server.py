"""The life of an agent: identity first, then certificates for its services, then heartbeats until it is stopped."""

import asyncio
import logging
import ssl
from collections.abc import Awaitable, Callable, Sequence
from datetime import timedelta
from typing import TypeVar

from teleport.agent.backoff import Backoff, sleep_about
from teleport.agent.heartbeat import Heartbeat
from teleport.agent.joining import Joiner, choose_version, explain_failure
from teleport.agent.membership import Membership
from teleport.agent.memory import AgentState
from teleport.agent.running import MemberHost, keep_running
from teleport.agent.services import Service
from teleport.agent.state import StateStore
from teleport.api.client import Client, open_client
from teleport.api.host import Host, Runner
from teleport.api.joined import Joined, Keys, build_joined, generate_keys
from teleport.api.messages import Document
from teleport.api.way import Way
from teleport.clock import Clock
from teleport.config.settings import Settings
from teleport.errors import (
    AccessDenied,
    BadParameter,
    LimitExceeded,
    MembershipEnded,
    StorageError,
    TeleportError,
    TrustError,
    Unavailable,
    VersionRefused,
)
from teleport.pki.leaf import parse_leaf
from teleport.resources.role import SystemRole
from teleport.web.readiness import Readiness

INSTANCE = "instance"
"""The process itself, among the components that readiness tells of; each service is one by its role's name."""
STATE = "state"
"""What the process remembers: well when all of it is stored."""
TRUST_PERIOD = timedelta(seconds=30)
"""How soon agents know of a changed authority."""

logger = logging.getLogger(__name__)

_T = TypeVar("_T")


class Agent:
    """One process that serves something.

    Args:
        settings: of the process.
        way: how auth is reached.
        joiner: how to join; None where only an identity from before can help.
        states: what is remembered over a restart.
        readiness: told how the process and each service fare.
        clock: the present.
        runners: the services that do more than to say that they are there.
    """

    def __init__(
        self,
        settings: Settings,
        *,
        way: Way,
        joiner: Joiner | None,
        states: StateStore,
        readiness: Readiness,
        clock: Clock,
        runners: Sequence[Runner] = (),
    ) -> None:
        self._settings = settings
        self._way = way
        self._joiner = joiner
        self._states = states
        self._readiness = readiness
        self._clock = clock
        self._services = [
            Service(service, hostname=settings.nodename, on_change=self._announce_early)
            for service in settings.services
        ]
        self._runners = tuple(runners)
        self._certified = {runner.role: asyncio.Event() for runner in runners}
        self._heartbeat: Heartbeat | None = None
        self._has_joined_now = False
        for component in (INSTANCE, STATE, *(service.component for service in self._services)):
            readiness.expect(component)

    async def run(self) -> None:
        """Live until cancelled, and say goodbye then.

        Raises:
            BadParameter: there is no identity from before, and nothing to join with.
            VersionRefused: auth is too old or too new for this agent.
            StorageError: the state cannot be read or written.
        """
        joined = await self._obtain_identity()
        while True:
            try:
                await self._live(joined)
            except* MembershipEnded:
                logger.warning("auth has ended the membership of host %s; joining anew", joined.host_id)
            joined = await self._join_anew()

    async def _live(self, joined: Joined) -> None:
        """Be a member until cancelled.

        Raises:
            ExceptionGroup: of `MembershipEnded`, or of what nobody expected.
        """
        membership = Membership(
            joined, states=self._states, hostname=self._settings.nodename, is_new=self._has_joined_now
        )
        version = choose_version(self._settings)
        async with open_client(self._way, membership.trust, version=version) as client:
            self._heartbeat = heartbeat = Heartbeat(
                client=client,
                hostname=self._settings.nodename,
                build_records=self._build_records,
                report=self._report,
            )
            try:
                async with asyncio.TaskGroup() as group:
                    group.create_task(membership.keep_stored(self._report_state))
                    group.create_task(heartbeat.run())
                    group.create_task(self._keep_membership(membership, client))
                    for service in self._services:
                        group.create_task(service.run_label_commands())
                    for runner in self._runners:
                        group.create_task(self._keep_running(runner, MemberHost(membership, client)))
            finally:
                await heartbeat.say_goodbye()

    async def _keep_running(self, runner: Runner, host: Host) -> None:
        await keep_running(runner, host, certified=self._certified[runner.role], readiness=self._readiness)

    async def _obtain_identity(self) -> Joined:
        state = await self._reach_state(self._states.load)
        if state.joined is not None and not self._is_over(state.joined):
            logger.info("using the identity of host %s from before; a token is not needed", state.joined.host_id)
            self._report_state(None)
            return state.joined
        return await self._join_with(state.pending_keys or generate_keys())

    async def _join_anew(self) -> Joined:
        """Forget who this process was, and become somebody else."""
        for service in self._services:
            service.certified = False
            self._readiness.fail(service.component, "the process joins anew")
        for certified in self._certified.values():
            certified.clear()
        return await self._join_with(generate_keys())

    async def _join_with(self, keys: Keys) -> Joined:
        """Join with keys that are remembered before anybody sees them."""
        if self._joiner is None:
            raise BadParameter(
                "this process is no member of a cluster and has no token: set teleport.join_params (or --token)"
            )
        await self._reach_state(lambda: self._states.store(AgentState(pending_keys=keys)))
        return await self._join(self._joiner, keys)

    async def _reach_state(self, ask: Callable[[], Awaitable[_T]]) -> _T:
        """Ask for the state until there is an answer: without it a process would join again and again."""
        backoff = Backoff()
        while True:
            try:
                return await ask()
            except Unavailable as error:
                self._report_state(error.message)
                await backoff.wait()

    async def _join(self, joiner: Joiner, keys: Keys) -> Joined:
        backoff = Backoff()
        while True:
            try:
                joined = build_joined(keys, await joiner.join(keys, None))
            except VersionRefused:
                raise
            except TeleportError as error:
                logger.error("cannot join: %s", explain_failure(error))  # noqa: TRY400 - for operators, without a trace
                await backoff.wait(error.retry_after if isinstance(error, LimitExceeded | Unavailable) else timedelta())
            else:
                self._has_joined_now = True
                logger.info("joined cluster %r as host %s", joined.trust.cluster_name, joined.host_id)
                return joined

    def _is_over(self, joined: Joined) -> bool:
        try:
            der = ssl.PEM_cert_to_DER_cert(joined.certificates[SystemRole.INSTANCE].tls_certificate)
            not_after = parse_leaf(der).not_after
        except (KeyError, ValueError, AccessDenied) as error:
            raise StorageError(
                f"{self._states.place} holds no identity of an agent; remove it to join anew with a token"
            ) from error
        if not_after > self._clock.now():
            return False
        logger.warning("the certificate of host %s has expired; joining anew", joined.host_id)
        return True

    async def _keep_membership(self, membership: Membership, client: Client) -> None:
        """Get certificates for all services, and follow what the cluster trusts."""
        backoff = Backoff()
        failed = False
        while True:
            try:
                for service in self._services:
                    await self._certify(membership, client, service)
                await membership.follow_trust(client)
            except MembershipEnded:
                raise
            except TeleportError as error:
                self._report(self._explain(error))
                failed = True
                await backoff.wait()
            else:
                if failed:
                    self._announce_early()  # the next regular heartbeat, which says that all is well, is minutes away
                failed = False
                backoff.reset()
                await sleep_about(TRUST_PERIOD, at_least=0.8)

    async def _certify(self, membership: Membership, client: Client, service: Service) -> None:
        if service.certified:
            return
        try:
            await membership.certify(client, service.role, self._joiner)
        except MembershipEnded:
            raise
        except AccessDenied as error:
            problem = f"service {service.component} cannot start: {explain_failure(error)}"
            logger.error("%s", problem)  # noqa: TRY400 - for operators, without a trace
            self._readiness.fail(service.component, problem)
        else:
            service.certified = True
            if service.role in self._certified:
                self._certified[service.role].set()  # that it works is its own to say
            else:
                self._readiness.succeed(service.component)
            self._announce_early()

    def _explain(self, error: TeleportError) -> str:
        if isinstance(error, TrustError):
            return (
                f"{error.message}: the identity in {self._states.place} is of another cluster, or of this one "
                "before it was made anew; stop, remove it, and join with a new token"
            )
        return error.message

    def _announce_early(self) -> None:
        if self._heartbeat is not None:
            self._heartbeat.announce_early()

    def _build_records(self) -> list[Document]:
        return [record for service in self._services if service.certified for record in service.build_records()]

    def _report_state(self, problem: str | None) -> None:
        if problem is None:
            self._readiness.succeed(STATE)
        else:
            logger.error("the agent's state: %s", problem)
            self._readiness.fail(STATE, problem)

    def _report(self, problem: str | None) -> None:
        if problem is None:
            self._readiness.succeed(INSTANCE)
        else:
            logger.warning("%s", problem)
            self._readiness.fail(INSTANCE, problem)
