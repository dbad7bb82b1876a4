"""The second check: who opens an application is verified by the cluster's keys, and judged by its roles, once more."""

import asyncio
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from teleport.api.client import Client
from teleport.api.host import Host
from teleport.api.operations import APP_ASSERTION, APP_RULES
from teleport.api.people import AppAssertionRequest, AppRulesRequest
from teleport.clock import Clock
from teleport.config.settings import Rewrite, Target
from teleport.errors import AccessDenied, BadParameter, ConnectionFailed, StorageError, Unavailable
from teleport.pki.assertion import Assertion, build_key_set, verify_assertion
from teleport.pki.jwks import JwkSet
from teleport.resources.access_role import AppLabels, Role, check_app_access
from teleport.resources.authority import AuthorityType
from teleport.resources.codec import parse_resource

FRESH = timedelta(seconds=20)
"""How long rules are used: a changed role counts within half a minute, the sweep of connections included."""
LONGEST_WITHOUT_AUTH = timedelta(minutes=2)
"""Auth restarts: for so long the rules that it told last are still used."""
MAX_REMEMBERED = 10_000
MAX_RULES = 1000


@dataclass(frozen=True, slots=True)
class Admission:
    """Somebody may open an application."""

    assertion: Assertion
    told: str = field(repr=False)
    """The assertion that the application gets."""
    fresh_until: datetime


@dataclass(frozen=True, slots=True)
class _Rules:
    roles: tuple[Role, ...]
    given: Mapping[str, Sequence[str]]
    trusts_declared: bool
    asked: datetime


class AppJudge:
    """Judges those whom proxies send.

    Args:
        host: the process: its client asks auth, its trust has the keys of assertions.
        clock: the present.
    """

    def __init__(self, host: Host, *, clock: Clock) -> None:
        self._host = host
        self._client: Client = host.client
        self._clock = clock
        self._admitted: OrderedDict[tuple[str, str], Admission] = OrderedDict()
        self._rules: OrderedDict[tuple[str, ...], _Rules] = OrderedDict()
        self._asking: dict[tuple[str, ...], asyncio.Lock] = {}
        self._keys: tuple[tuple[str, ...], JwkSet] | None = None

    def find(self, text: str, app: Target) -> Admission | None:
        """Return an admission that is fresh."""
        found = self._admitted.get((text, app.name))
        return found if found is not None and self.is_fresh(found) else None

    def is_fresh(self, admission: Admission) -> bool:
        """Tell whether an admission need not be judged anew."""
        return self._clock.now() < admission.fresh_until

    async def admit(self, text: str, app: Target) -> Admission:
        """Judge an assertion for an application.

        Raises:
            AccessDenied: it is not by this cluster, not for this application, over, or no role allows it.
            TeleportError: auth cannot be asked.
        """
        found = self.find(text, app)
        if found is not None:
            return found
        try:
            assertion = self._verify(text, app)
        except BadParameter as error:
            raise AccessDenied(error.message) from error
        await self.check(assertion, app)
        known = self._admitted.pop((text, app.name), None)
        told = known.told if known is not None else await self._narrow(text, app)
        now = self._clock.now()
        admission = Admission(assertion, told, fresh_until=min(now + FRESH, assertion.expires))
        self._admitted[text, app.name] = admission
        if len(self._admitted) > MAX_REMEMBERED:
            self._admitted.popitem(last=False)
        return admission

    async def check(self, assertion: Assertion, app: Target) -> None:
        """Judge by the rules of now, whatever the time of the assertion: its session may last longer.

        Raises:
            AccessDenied: no role of the user allows the application, or one denies it.
            TeleportError: auth cannot be asked.
        """
        rules = await self._find_rules(assertion.roles)
        given = {key: (value,) for key, value in app.labels.items()} if rules.trusts_declared else rules.given
        check_app_access(rules.roles, AppLabels(given, app.labels))

    def _verify(self, text: str, app: Target) -> Assertion:
        pems = self._host.trust.jwt.get(AuthorityType.JWT, ())
        if self._keys is None or self._keys[0] != pems:
            self._keys = (pems, build_key_set(pems))
        return verify_assertion(
            text, self._keys[1], issuer=self._host.cluster_name, audience=app.uri, now=self._clock.now()
        )

    async def _find_rules(self, roles: tuple[str, ...]) -> _Rules:
        """Return the rules of these roles; those who need the same ones at the same time ask once."""
        async with self._asking.setdefault(roles, asyncio.Lock()):
            try:
                return await self._refresh_rules(roles)
            finally:
                if len(self._asking) > MAX_RULES:
                    self._asking.clear()

    async def _refresh_rules(self, roles: tuple[str, ...]) -> _Rules:
        known, now = self._rules.get(roles), self._clock.now()
        if known is not None and now - known.asked < FRESH:
            return known
        try:
            answer = await self._client.call(APP_RULES, AppRulesRequest(roles=roles))
        except (ConnectionFailed, Unavailable, StorageError):
            if known is None or now - known.asked >= LONGEST_WITHOUT_AUTH:
                raise
            return known
        parsed = (parse_resource(document) for document in answer.roles)
        found = tuple(role for role in parsed if isinstance(role, Role))
        rules = self._rules[roles] = _Rules(found, answer.labels, answer.trusts_declared, now)
        self._rules.move_to_end(roles)
        if len(self._rules) > MAX_RULES:
            self._rules.popitem(last=False)
        return rules

    async def _narrow(self, text: str, app: Target) -> str:
        """Return the assertion as the application is to see it."""
        claims = app.rewrite.jwt_claims
        if claims == Rewrite().jwt_claims:
            return text
        request = AppAssertionRequest.model_validate({"assertion": text, "uri": app.uri, "claims": claims})
        return (await self._client.call(APP_ASSERTION, request)).assertion
