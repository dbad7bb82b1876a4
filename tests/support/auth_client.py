"""A client of an auth server without a network, and an agent's joiner and memory that go with it."""

from collections.abc import Callable
from typing import Any

from support.auth import ANONYMOUS, InProcessAuth
from support.strangers import build_request
from teleport.agent.memory import AgentState
from teleport.api import operations as ops
from teleport.api.client import Client
from teleport.api.identity import Identity
from teleport.api.joined import Keys
from teleport.api.messages import Empty, HeartbeatResponse, JoinResponse, TrustBundleResponse, TrustResponse
from teleport.api.operations import Operation, RequestT, ResponseT
from teleport.auth.access import Caller
from teleport.errors import TeleportError
from teleport.version import VERSION


class InProcessClient(Client):
    """Asks the use cases as a caller whom a test names, and fails when it is told to.

    Args:
        auth: the server.
        caller: who asks.
    """

    def __init__(self, auth: InProcessAuth, caller: Caller = ANONYMOUS) -> None:
        self.auth = auth
        self.caller = caller
        self.server_version = VERSION
        self.asked: list[tuple[str, Any]] = []
        self._failures: list[Exception] = []

    def fail_next(self, *errors: Exception) -> None:
        """Let the next calls end with these errors."""
        self._failures.extend(errors)

    def names(self) -> list[str]:
        """Return which operations were asked for."""
        return [name for name, _ in self.asked]

    async def call(self, operation: Operation[RequestT, ResponseT], request: RequestT) -> ResponseT:
        self.asked.append((operation.name, request))
        if self._failures:
            raise self._failures.pop(0)
        answer = await self._answer(operation, request)
        assert isinstance(answer, operation.response)
        return answer

    async def _answer(self, operation: Operation[Any, Any], request: Any) -> Any:
        authority = self.auth.authority
        if operation is ops.TRUST:
            return TrustResponse(
                cluster_name=authority.cluster_name,
                server_version=self.server_version,
                host_ca_certificates=authority.host_ca_certificates,
            )
        if operation is ops.JOIN:
            return await self.auth.joining.join(request, self.caller)
        if operation is ops.HOST_CERTIFICATES:
            return await self.auth.issuing.issue_host(request, self.caller)
        if operation is ops.TRUST_BUNDLE:
            bundle = authority.trust_bundle
            return TrustBundleResponse(bundle=None if request.known_revision == bundle.revision else bundle)
        if operation is ops.HEARTBEAT:
            ttl = await self.auth.heartbeats.announce(request, self.caller)
            return HeartbeatResponse(ttl_seconds=ttl, trust_revision=authority.trust_bundle.revision)
        assert operation is ops.GOODBYE
        await self.auth.heartbeats.withdraw(request, self.caller)
        return Empty()


class InProcessJoiner:
    """Joins with a token, as a host that is known where a test says so.

    Args:
        auth: the server.
        token: the token's name.
        caller: the host as its certificate shows it, for those that have one.
    """

    def __init__(self, auth: InProcessAuth, token: str, caller: Callable[[], Caller] = lambda: ANONYMOUS) -> None:
        self._auth = auth
        self._token = token
        self._caller = caller
        self.keys: list[Keys] = []
        self._failures: list[TeleportError] = []

    def fail_next(self, *errors: TeleportError) -> None:
        """Let the next joins end with these errors."""
        self._failures.extend(errors)

    async def join(self, keys: Keys, known: Identity | None) -> JoinResponse:
        self.keys.append(keys)
        if self._failures:
            raise self._failures.pop(0)
        return await self._auth.ask_to_join(
            build_request(keys, self._token), self._caller() if known is not None else ANONYMOUS
        )


class RememberedState:
    """What an agent remembers, and everything that it ever stored."""

    def __init__(self, state: AgentState | None = None) -> None:
        self.state = state or AgentState()
        self.history: list[AgentState] = []
        self._failures: list[TeleportError] = []

    place = "the memory of the test"

    def fail_next(self, *errors: TeleportError) -> None:
        """Let the next attempts to read or to write end with these errors."""
        self._failures.extend(errors)

    async def load(self) -> AgentState:
        if self._failures:
            raise self._failures.pop(0)
        return self.state

    async def store(self, state: AgentState) -> None:
        if self._failures:
            raise self._failures.pop(0)
        self.state = state
        self.history.append(state)
