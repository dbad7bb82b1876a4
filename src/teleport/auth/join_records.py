"""What is written down of a join: its use in the token's ledger, and the event of one that did not come about."""

import logging
from datetime import datetime
from typing import Any

from teleport.api.messages import TokenUse
from teleport.auth import audit
from teleport.auth.audit import AuditLog
from teleport.auth.join_request import JoinAttempt
from teleport.auth.stores import Stores
from teleport.auth.stores.tokens import StoredToken
from teleport.auth.undecided import UndecidedJoins
from teleport.backend.protocol import Write
from teleport.clock import Clock
from teleport.errors import JoinRefused, Unavailable
from teleport.resources.role import SystemRole

logger = logging.getLogger(__name__)


class JoinRecords:
    """Records joins that did not come about; one that did is recorded in its own commit.

    Args:
        stores: the ledger, and where everything is committed.
        audit_log: what happened.
        clock: the present.
    """

    def __init__(self, *, stores: Stores, audit_log: AuditLog, clock: Clock) -> None:
        self._backend = stores.backend
        self._ledger = stores.ledger
        self._audit = audit_log
        self._clock = clock
        self._undecided = UndecidedJoins(clock)

    async def record_refusal(self, stored: StoredToken | None, attempt: JoinAttempt, refusal: JoinRefused) -> None:
        """Record that the caller is not admitted, and why."""
        logger.warning("join refused: %s (%s), from %s", refusal.reason, refusal.detail, attempt.remote_addr)
        await self._record(stored, attempt, refusal, attributes=dict(refusal.attributes))

    async def record_undecided(self, stored: StoredToken | None, attempt: JoinAttempt, error: Unavailable) -> None:
        """Record that nobody can say whether the caller may join, once a minute for those that are alike."""
        attempts = self._undecided.count(attempt.remote_addr, attempt.token_name, error.reason)
        if not attempts:
            return
        logger.warning("join not decided: %s (%s), from %s", error.reason, error.detail, attempt.remote_addr)
        await self._record(stored, attempt, error, attempts=attempts)

    async def _record(
        self,
        stored: StoredToken | None,
        attempt: JoinAttempt,
        error: JoinRefused | Unavailable,
        **fields: Any,  # noqa: ANN401 - whatever an event can hold
    ) -> None:
        now = self._clock.now()
        event = self._audit.build(
            audit.BOT_JOIN_FAILURE if attempt.role is SystemRole.BOT else audit.INSTANCE_JOIN_FAILURE,
            success=False,
            reason=error.reason,
            message=error.detail,
            **fields,
            **describe_join(stored, attempt),
        )
        writes: list[Write] = [event.put]
        if stored is not None:
            writes.append(self._ledger.build_entry(stored.lookup_id, build_use(attempt, "", error.reason, now), now))
        await self._backend.commit([], writes)
        self._audit.committed(event)


def build_use(attempt: JoinAttempt, host_id: str, outcome: str, now: datetime, subject: str = "") -> TokenUse:
    """Return what the ledger of a token says of an attempt; the subject is who the proof says it was."""
    return TokenUse(
        time=now,
        host_id=host_id,
        remote_addr=attempt.remote_addr,
        role=attempt.role,
        outcome=outcome,
        subject=subject,
    )


def describe_join(stored: StoredToken | None, attempt: JoinAttempt) -> dict[str, Any]:
    """Return what every event of a join tells; of an unknown token not even the guess."""
    return {
        "role": attempt.role,
        "node_name": attempt.node_name,
        "remote_addr": attempt.remote_addr,
        "token_name": stored.token.safe_name if stored is not None else "",
        "method": stored.token.spec.join_method if stored is not None else "",
        "bot_name": stored.token.spec.bot_name if stored is not None else "",
        "key_fingerprint": attempt.key_fingerprint,
    }
