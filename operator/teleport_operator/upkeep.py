"""Keeps the tokens of one object: that of its present value, and those of former values until they end."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from teleport.clock import Clock
from teleport.kube.custom_objects import RawObject
from teleport.resources.model import render_time
from teleport.resources.token import Token
from teleport_operator.conditions import Activity, Report, State
from teleport_operator.declaration import Declaration, SecretRule
from teleport_operator.keeping import TokenKeeping
from teleport_operator.object_writing import ObjectWriting
from teleport_operator.obstacles import Obstacle, asking_auth
from teleport_operator.outcome import Outcome
from teleport_operator.reconcile.expiry import Expiry, anchor_expiry
from teleport_operator.reconcile.planning import Change, Plan, Situation, is_one_use
from teleport_operator.reconcile.secrets import SecretValue, find_former_end, limit_life
from teleport_operator.secret_keeping import SecretKeeping
from teleport_operator.status import SUCCESS, Recorded
from teleport_operator.tokens import Tokens

SOURCE_PERIOD = timedelta(minutes=1)
"""How often a Secret is read from which a value comes: it is not watched."""
AT_ONCE = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Work:
    """An object whose token is to be kept."""

    raw: RawObject
    declaration: Declaration
    recorded: Recorded
    expiry: Expiry
    now: datetime
    losers: frozenset[str]

    @property
    def was_active(self) -> bool:
        """Tell whether a token under this very rule was in the store."""
        return self.recorded.was_active and self.recorded.expiry.fingerprint == self.expiry.fingerprint


class Upkeep:
    """Keeps tokens and the Secrets with their values.

    Args:
        tokens: the cluster's.
        keeping: changes one of them.
        secrets: where values are.
        writing: of the objects themselves.
        operator: the id of this operator.
        clock: the present.
    """

    def __init__(
        self,
        *,
        tokens: Tokens,
        keeping: TokenKeeping,
        secrets: SecretKeeping,
        writing: ObjectWriting,
        operator: str,
        clock: Clock,
    ) -> None:
        self._tokens = tokens
        self._keeping = keeping
        self._secrets = secrets
        self._writing = writing
        self._operator = operator
        self._clock = clock

    async def keep(
        self, raw: RawObject, declaration: Declaration, recorded: Recorded, *, losers: frozenset[str]
    ) -> Outcome:
        """Bring the tokens of an object to what it declares; the losers want the same one, and must give way."""
        now = self._clock.now()
        anchored = anchor_expiry(
            declaration.expiry,
            recorded.expiry,
            declaration.head,
            now,
            renewals=declaration.head.rotate if declaration.secret is not None else "",
        )
        if anchored.record_first:
            await self._writing.record_expiry(raw, anchored.expiry)
        work = Work(raw, declaration, recorded, anchored.expiry, now, losers)
        try:
            return await self._keep(work)
        except Obstacle as obstacle:
            report = Report(obstacle.state, obstacle.message, name_is_secret=declaration.name_is_secret)
            return Outcome(
                report,
                work.expiry,
                notes=declaration.notes,
                secret=recorded.secret,
                failed=True,
                asked_wait=obstacle.asked_wait,
            )

    async def _keep(self, work: Work) -> Outcome:
        with asking_auth():
            known = self._tokens.find(work.declaration.head.uid)
        if work.expiry.is_over(work.now):
            return await self._keep_none(work, known)
        rule = work.declaration.secret
        value = None if rule is None else await self._secrets.choose(work.declaration, rule, work.now)
        plan = await self._keep_present(work, value, known)
        secret = work.recorded.secret
        if plan.report.state is State.SYNCED:
            if rule is not None and value is not None and value.is_new:
                await self._secrets.deliver(work.raw, work.declaration, rule, value)
            await self._end_former(work, value, known)
            secret = {} if rule is None or value is None else _describe(rule, value)
        return Outcome(
            plan.report,
            work.expiry,
            changes=() if plan.change is Change.NONE else (plan.change,),
            notes=work.declaration.notes,
            secret=secret,
            look_again=_find_next(plan, rule, value, work.now),
            name=_name_of(work, value),
        )

    async def _keep_none(self, work: Work, known: Mapping[str, Token]) -> Outcome:
        """Take the tokens away whose time is over; the Secret stays as it is."""
        await self._end_former(work, None, known)
        ended = "" if work.expiry.at is None else f"the token ended at {render_time(work.expiry.at)}"
        report = Report(State.EXPIRED, ended, activity=Activity.EXPIRED)
        return Outcome(report, work.expiry, notes=work.declaration.notes, secret=work.recorded.secret)

    async def _keep_present(self, work: Work, value: SecretValue | None, known: Mapping[str, Token]) -> Plan:
        rule, label = work.declaration.secret, "" if value is None else value.label
        actual = known.get(label)
        was_active = work.was_active and (value is None or not value.is_new)
        situation = Situation(
            work.declaration,
            expiry=work.expiry if rule is None or value is None else limit_life(work.expiry, rule, value),
            operator=self._operator,
            now=work.now,
            actual=actual,
            was_active=was_active,
            was_ours=work.recorded.was_active and (value is None or not value.is_new),
            consumed=actual is None and was_active and await self._is_consumed(work, value),
            joins=work.recorded.uses.joins,
            losers=work.losers,
            was_new=work.recorded.is_new,
            name=None if value is None else value.value,
            secret=label,
        )
        return await self._keeping.keep(situation, lambda: self._writing.protect(work.raw))

    async def _end_former(self, work: Work, value: SecretValue | None, known: Mapping[str, Token]) -> None:
        """Let the tokens of all other values end: at once, or with the overlap after a rotation."""
        rule, present = work.declaration.secret, "" if value is None else value.label
        names: Mapping[str, str] = {}
        for label, token in known.items():
            if label == present and not work.expiry.is_over(work.now):
                continue
            end = AT_ONCE if rule is None or value is None else find_former_end(token.metadata.expires, rule, value)
            if end > work.now and end == token.metadata.expires:
                continue
            with asking_auth():
                names = names or await self._tokens.find_names(work.declaration.head.uid)
                if label not in names:
                    continue
                if end <= work.now:
                    await self._tokens.delete(names[label], token)
                else:
                    await self._tokens.update(token.with_metadata(name=names[label], expires=end))

    async def _is_consumed(self, work: Work, value: SecretValue | None) -> bool:
        """Tell whether a token that is gone was used up: its ledger outlives it."""
        if not is_one_use(work.declaration.token):
            return False
        since = work.declaration.head.created if value is None else value.made_at
        with asking_auth():
            uses = await self._tokens.list_uses(_name_of(work, value), since)
        return any(use.outcome == SUCCESS for use in uses)


def _name_of(work: Work, value: SecretValue | None) -> str:
    return work.declaration.head.name if value is None else value.value


def _describe(rule: SecretRule, value: SecretValue) -> Mapping[str, Any]:
    described = {"name": rule.name, "rotatedAt": render_time(value.made_at)}
    return described | ({"lastHandledRotate": value.handled_rotate} if value.handled_rotate else {})


def _find_next(plan: Plan, rule: SecretRule | None, value: SecretValue | None, now: datetime) -> datetime | None:
    """Return when something is due."""
    moments = [plan.look_again]
    if rule is not None and value is not None:
        moments.append(now + SOURCE_PERIOD if rule.source is not None else None)
        moments.append(value.made_at + rule.rotate_every if rule.rotate_every is not None else None)
    return min((each for each in moments if each is not None), default=None)
