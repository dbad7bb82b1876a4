"""The API at the border: from bytes and a certificate to a typed request and a caller who may make it, and back."""

from collections.abc import Mapping
from typing import Any

import orjson
from pydantic import BaseModel, ValidationError

from teleport.api.messages import JoinRequest
from teleport.api.openapi import build_openapi
from teleport.api.operations import (
    HEARTBEAT,
    JOIN,
    MAX_ANONYMOUS_BODY_BYTES,
    MAX_BODY_BYTES,
    OPENAPI_PATH,
    OPERATIONS,
    VERSION_HEADER,
    Operation,
)
from teleport.auth.access import Caller, authorize
from teleport.auth.authority import Authority
from teleport.auth.callers import identify
from teleport.auth.handlers import Handler
from teleport.auth.join_limits import JoinLimits
from teleport.auth.pod_lives import PodLives
from teleport.auth.roles import RoleTable
from teleport.clock import Clock
from teleport.errors import (
    BadParameter,
    JoinRefused,
    LimitExceeded,
    StorageError,
    TeleportError,
    Unavailable,
    VersionRefused,
)
from teleport.join.catalog import METHODS
from teleport.resources.model import explain_validation
from teleport.version import VERSION, explain_version_gap
from teleport.web.call import Call, Reply, Route
from teleport.web.metrics import Metrics
from teleport.web.turnstile import Turnstile

JOINS_PER_TURN = 1
"""So many joins are begun before others get their turn, even where thousands come at once."""


class Endpoints:
    """Makes a route of every operation.

    Args:
        table: who handles which operation.
        authority: whose certificates callers show.
        roles: what users may do.
        pod_lives: whether the lives last to which callers are bound.
        limits: what refused joins cost.
        metrics: counts joins and heartbeats.
        clock: the present, for the life of certificates.
    """

    def __init__(
        self,
        *,
        table: Mapping[Operation[Any, Any], Handler],
        authority: Authority,
        roles: RoleTable,
        pod_lives: PodLives,
        limits: JoinLimits,
        metrics: Metrics,
        clock: Clock,
    ) -> None:
        self._table = table
        self._authority = authority
        self._roles = roles
        self._pod_lives = pod_lives
        self._limits = limits
        self._metrics = metrics
        self._clock = clock
        self._turnstile = Turnstile(JOINS_PER_TURN)
        self._openapi = orjson.dumps(build_openapi(OPERATIONS, VERSION))

    def build_routes(self) -> list[Route]:
        """Return the routes of the whole API."""
        routes = [self._build_route(operation) for operation in OPERATIONS if operation is not JOIN]
        join = Route(JOIN.path, JOIN.method, self._join, anonymous=True, max_body=MAX_ANONYMOUS_BODY_BYTES)
        openapi = Route(OPENAPI_PATH, "GET", self._serve_openapi, anonymous=False, max_body=0)
        return [*routes, join, openapi]

    def _build_route(self, operation: Operation[Any, Any]) -> Route:
        handler = self._table[operation]

        async def handle(call: Call) -> Reply:
            caller = await self._identify(call)
            if operation.kind is not None:
                authorize(caller, operation.verb, operation.kind)
            answer = _render(await handler(_parse(operation.request, call.body), caller))
            if operation is HEARTBEAT:
                self._metrics.heartbeats.inc()
            return answer

        max_body = MAX_ANONYMOUS_BODY_BYTES if operation.anonymous else MAX_BODY_BYTES
        return Route(operation.path, operation.method, handle, operation.anonymous, max_body)

    async def _join(self, call: Call) -> Reply:
        """Join: the limit comes before anything is parsed, and the outcome is counted."""
        address = call.peer.remote_addr
        method = "unknown"
        try:
            self._limits.check(address)
            await self._turnstile.enter()
            self._limits.check(address, has_waited=True)  # others from there may have been refused meanwhile
            caller = await self._identify(call)
            request: JoinRequest = _parse(JoinRequest, call.body)
            _check_version(request.client_version)
            method = request.join_method if request.join_method in METHODS else method
            answer = await self._table[JOIN](request, caller)
        except LimitExceeded:
            self._metrics.joins.labels(method, "refused", "limit_exceeded").inc()
            raise
        except TeleportError as error:
            reason = error.reason if isinstance(error, JoinRefused | Unavailable) else error.code
            self._metrics.joins.labels(method, "refused", reason).inc()
            if not isinstance(error, Unavailable | StorageError):
                await self._limits.charge(address)
            raise
        self._metrics.joins.labels(method, "success", "").inc()
        return _render(answer, free_of_charge=True)

    async def _serve_openapi(self, call: Call) -> Reply:
        authorize(await self._identify(call), "read", "openapi")
        return Reply(200, self._openapi)

    async def _identify(self, call: Call) -> Caller:
        peer = call.peer
        _check_version(call.head.fields.get(VERSION_HEADER.lower(), ""))
        caller = identify(
            peer.certificate_der,
            peer.remote_addr,
            authority=self._authority,
            roles=self._roles,
            clock=self._clock,
        )
        if caller.pod_uid:
            await self._pod_lives.check(caller.pod_uid)
        return caller


def _check_version(client: str) -> None:
    """Refuse a client that is too many major versions apart, if it says of which it is.

    Raises:
        VersionRefused: names both versions.
    """
    gap = explain_version_gap(client, VERSION) if client else None
    if gap is not None:
        raise VersionRefused(gap)


def _parse(model: type[BaseModel], body: bytes) -> Any:  # noqa: ANN401 - of the model's type
    """Return the body as a request.

    Raises:
        BadParameter: it is not JSON, or a field is missing, unknown or out of bounds; the message names it.
    """
    try:
        return model.model_validate_json(body or b"{}")
    except ValidationError as error:
        raise BadParameter(explain_validation(error)) from error


def _render(answer: BaseModel, *, free_of_charge: bool = False) -> Reply:
    return Reply(200, answer.model_dump_json().encode(), free_of_charge=free_of_charge)
