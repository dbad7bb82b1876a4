"""How a service joins: the recipe, from the request to the certificates.

There is one commit for each join. It requires that the token is still what was judged, and records the use, the
ledger entry and the audit event together; the answer leaves after it. So a token that is deleted, changed or used up
meanwhile admits nobody, and a crash at any line leaves a use that is either recorded or did not happen.
"""

import asyncio
import uuid
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime

from teleport.api.messages import JoinRequest, JoinResponse
from teleport.auth import admission, audit
from teleport.auth.access import Caller
from teleport.auth.admission import MethodMismatch
from teleport.auth.audit import AuditLog
from teleport.auth.authority import Authority, HostGrant, Issued
from teleport.auth.join_records import JoinRecords, build_use, describe_join
from teleport.auth.join_request import JoinAttempt, parse_attempt
from teleport.auth.pod_lives import PodLives
from teleport.auth.stores import Stores
from teleport.auth.stores.pod_members import PodMember
from teleport.auth.stores.proof_uses import ProofClaim, build_first_claim, claim_proof
from teleport.auth.stores.tokens import Spent, StoredToken
from teleport.auth.stores.usage import Usage, build_usage_commit, load_usage
from teleport.backend.protocol import Condition, Write
from teleport.clock import Clock
from teleport.errors import BadParameter, CompareFailed, JoinRefused, Unavailable
from teleport.join.method import Judge, VerifiedIdentity
from teleport.resources.model import render_time
from teleport.resources.role import SystemRole

MAX_ATTEMPTS = 8
"""How often a join starts over because its token changed while it was judged, or its proof was used before."""
MAX_TURNS = 1000
"""Beyond so many, locks that nobody holds are dropped."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a successful join adds up to before it is committed."""

    response: JoinResponse
    issued: Issued
    identity: VerifiedIdentity


class Joining:
    """The use case of joining.

    Args:
        stores: where tokens are found and a join is committed.
        judges: the judge of each join method.
        authority: signs.
        pod_lives: told of the pods to whose lives somebody will be bound.
        audit_log: what happened.
        clock: the present; one that never goes back, so that what is over stays over.
    """

    def __init__(
        self,
        *,
        stores: Stores,
        judges: Mapping[str, Judge],
        authority: Authority,
        pod_lives: PodLives,
        audit_log: AuditLog,
        clock: Clock,
    ) -> None:
        self._backend = stores.backend
        self._tokens = stores.tokens
        self._static_tokens = stores.static_tokens
        self._ledger = stores.ledger
        self._pod_members = stores.pod_members
        self._host_labels = stores.host_labels
        self._judges = judges
        self._authority = authority
        self._pod_lives = pod_lives
        self._audit = audit_log
        self._clock = clock
        self._turns: dict[str, asyncio.Lock] = {}
        self._records = JoinRecords(stores=stores, audit_log=audit_log, clock=clock)

    async def join(self, request: JoinRequest, caller: Caller) -> JoinResponse:
        """Admit the caller or refuse it.

        Raises:
            BadParameter: the request is malformed; nothing was looked up.
            JoinRefused: the caller is not admitted.
            Unavailable: it cannot be decided at present.
        """
        attempt = await self._parse(request, caller)
        for number in range(MAX_ATTEMPTS):
            stored = await self._find(attempt.token_name)
            try:
                return await self._admit(stored, attempt, is_first_try=number == 0)
            except JoinRefused as refusal:
                await self._records.record_refusal(stored, attempt, refusal)
                raise
            except BadParameter as error:
                reason = "method_mismatch" if isinstance(error, MethodMismatch) else "bad_request"
                await self._records.record_refusal(stored, attempt, JoinRefused(reason, error.message))
                raise
            except Unavailable as error:
                await self._records.record_undecided(stored, attempt, error)
                raise
            except CompareFailed:
                continue
        raise Unavailable("the token keeps changing while it is judged; try again")

    async def _parse(self, request: JoinRequest, caller: Caller) -> JoinAttempt:
        try:
            return parse_attempt(request, caller, self._authority.reserved_keys)
        except BadParameter as error:
            is_bot = request.role.strip().lower() == SystemRole.BOT.lower()
            event = audit.BOT_JOIN_FAILURE if is_bot else audit.INSTANCE_JOIN_FAILURE
            details = {"reason": "bad_request", "message": error.message, "remote_addr": caller.remote_addr}
            await self._audit.emit(event, success=False, **details)
            raise

    async def _admit(self, stored: StoredToken | None, attempt: JoinAttempt, *, is_first_try: bool) -> JoinResponse:
        now = self._clock.now()
        if stored is not None and stored.spent is not None:
            return _answer_again(stored.spent, attempt)

        stored = admission.check_found(stored, now)
        admission.check_method(stored.token, attempt.join_method)
        admission.check_address(stored.token, attempt.remote_addr)
        admission.check_role(stored.token, attempt.role)
        await self._load_usage(stored, attempt, now)

        identity = await self._judge(stored, attempt)
        await self._check_life(identity, attempt)
        async with self._turn(stored, attempt):
            usage = await self._load_usage(stored, attempt, now)
            claim = await self._claim_proof(identity, attempt, is_first_try=is_first_try)
            outcome = self._issue(stored, attempt, identity, usage)

            await self._commit(stored, attempt, usage, claim, outcome, now)
        return outcome.response

    async def _find(self, name: str) -> StoredToken | None:
        stored = await self._tokens.find(name)
        return self._static_tokens.find(self._tokens.lookup_id(name)) or stored

    @asynccontextmanager
    async def _turn(self, stored: StoredToken, attempt: JoinAttempt) -> AsyncIterator[None]:
        """Let those who count against the same limit take turns, instead of signing in vain.

        All of them are judged by then: one whose judge waits for others would let everybody wait.

        Raises:
            CompareFailed: the token changed while this one waited.
        """
        if not _is_counted(stored):
            yield
            return
        if len(self._turns) > MAX_TURNS:
            self._turns = {key: lock for key, lock in self._turns.items() if lock.locked()}
        turn = self._turns.setdefault(stored.lookup_id, asyncio.Lock())
        waited = turn.locked()
        async with turn:
            if waited and await self._find(attempt.token_name) != stored:
                raise CompareFailed("the token changed meanwhile")
            yield

    async def _load_usage(self, stored: StoredToken, attempt: JoinAttempt, now: datetime) -> Usage | None:
        limits = stored.token.spec.limits
        if limits is None or not _has_use_limits(stored):
            return None
        usage = await load_usage(self._backend, stored.lookup_id)
        if usage.find_holder(attempt.key_fingerprint, now) is None:
            admission.check_limits(limits, usage, now)
        return usage

    async def _judge(self, stored: StoredToken, attempt: JoinAttempt) -> VerifiedIdentity:
        judge = self._judges.get(stored.token.spec.join_method)
        if judge is None:
            raise JoinRefused("method_not_supported", f"method {stored.token.spec.join_method!r} is not supported")
        return await judge.judge(stored.token, attempt.proof)

    async def _check_life(self, identity: VerifiedIdentity, attempt: JoinAttempt) -> None:
        """Make sure that the end of a pod will be seen, and that the one to which a known host is bound is not near."""
        if identity.bound_to is not None:
            await self._pod_lives.expect(identity.bound_to)
        elif attempt.known_host is not None and attempt.known_host.pod_uid:
            await self._pod_lives.check_admits(attempt.known_host.pod_uid)

    async def _claim_proof(self, identity: VerifiedIdentity, attempt: JoinAttempt, *, is_first_try: bool) -> ProofClaim:
        """Claim the proof: as one that is new at first, which costs no look; what is not so fails in the commit."""
        if identity.use is None:
            return ProofClaim((), ())
        if is_first_try:
            return build_first_claim(
                identity.use, key_fingerprint=attempt.key_fingerprint, remote_addr=attempt.remote_addr
            )
        return await claim_proof(
            self._backend,
            identity.use,
            key_fingerprint=attempt.key_fingerprint,
            remote_addr=attempt.remote_addr,
            attributes=identity.attributes,
        )

    def _issue(
        self, stored: StoredToken, attempt: JoinAttempt, identity: VerifiedIdentity, usage: Usage | None
    ) -> Outcome:
        holder = usage.find_holder(attempt.key_fingerprint, self._clock.now()) if usage is not None else None
        host_id = holder.host_id if holder is not None else str(uuid.uuid4())
        pod_uid = identity.bound_to.uid if identity.bound_to is not None else ""
        if attempt.role is SystemRole.BOT:
            issued = self._authority.issue_bot(
                bot_name=stored.token.spec.bot_name,
                instance_id=host_id,
                keys=attempt.keys,
                expires=attempt.expires,
                pod_uid=pod_uid,
            )
        else:
            host_id = attempt.known_host.name if attempt.known_host is not None else host_id
            issued = self._authority.issue_host(_build_grant(stored, attempt, host_id, pod_uid), attempt.keys)
        trust = self._authority.trust_bundle
        return Outcome(JoinResponse(host_id=host_id, certificates=issued.certificates, trust=trust), issued, identity)

    async def _commit(
        self,
        stored: StoredToken,
        attempt: JoinAttempt,
        usage: Usage | None,
        claim: ProofClaim,
        outcome: Outcome,
        now: datetime,
    ) -> None:
        conditions: list[Condition] = [*stored.unchanged, *claim.conditions]
        use = build_use(attempt, outcome.response.host_id, "success", now, outcome.identity.subject)
        writes: list[Write] = [self._ledger.build_entry(stored.lookup_id, use, now), *claim.writes]
        if usage is not None and usage.find_holder(attempt.key_fingerprint, now) is None:
            after = usage.after_use(attempt.key_fingerprint, outcome.response.host_id, now)
            counted = build_usage_commit(stored.lookup_id, usage, after, stored.token.metadata.expires)
            conditions.append(counted[0])
            writes.append(counted[1])
        if outcome.identity.bound_to is not None:
            member = PodMember(outcome.response.host_id, outcome.identity.bound_to)
            writes.append(self._pod_members.build_put(member))
        labels = stored.token.spec.suggested_labels
        if attempt.role is not SystemRole.BOT and (labels or attempt.known_host is not None):
            writes.append(self._host_labels.build_write(outcome.response.host_id, labels))
        if _is_one_use(stored):
            answer = outcome.response.model_dump(mode="json")
            writes.append(self._tokens.build_tombstone(stored, Spent(attempt.key_fingerprint, answer), now))
        expires = stored.token.metadata.expires
        event = self._audit.build(
            audit.BOT_JOIN if attempt.role is SystemRole.BOT else audit.INSTANCE_JOIN,
            success=True,
            **describe_join(stored, attempt),
            host_id=outcome.response.host_id,
            token_expires=render_time(expires) if expires is not None else None,
            attributes=dict(outcome.identity.attributes),
            proof_reused=claim.reused_by_another_key or None,
            certificate_serial=outcome.issued.serial,
        )
        await self._backend.commit(conditions, [*writes, event.put])
        self._audit.committed(event)


def _is_one_use(stored: StoredToken) -> bool:
    """Tell whether the first success uses the token up: secrets of bots do, as in the original."""
    return SystemRole.BOT in stored.token.spec.roles and stored.token.is_secret and stored.revision is not None


def _has_use_limits(stored: StoredToken) -> bool:
    limits = stored.token.spec.limits
    return limits is not None and (limits.max_uses is not None or limits.max_joins_per_hour is not None)


def _is_counted(stored: StoredToken) -> bool:
    return _is_one_use(stored) or _has_use_limits(stored)


def _answer_again(spent: Spent, attempt: JoinAttempt) -> JoinResponse:
    """Give the one who spent the token the same answer again: it may not have arrived.

    Raises:
        JoinRefused: somebody else asks.
    """
    if spent.key_fingerprint != attempt.key_fingerprint:
        raise JoinRefused("token_spent", "the token was for one use, and another key has used it")
    return JoinResponse.model_validate(spent.answer)


def _build_grant(stored: StoredToken, attempt: JoinAttempt, host_id: str, pod_uid: str) -> HostGrant:
    """Return what the host is granted; who is bound to a pod stays so, by whatever token it joins once more."""
    bound = attempt.known_host.pod_uid if attempt.known_host is not None else ""
    return HostGrant(
        host_id=host_id,
        role=attempt.role,
        system_roles=admission.build_system_roles(stored.token, attempt),
        node_name=attempt.node_name,
        additional_principals=attempt.additional_principals,
        dns_names=attempt.dns_names,
        remote_addr=attempt.remote_addr,
        pod_uid=pod_uid or bound,
    )
