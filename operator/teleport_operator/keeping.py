"""Carries out a plan for one token: whoever was faster than we were is looked at again, and the plan made anew."""

from collections.abc import Awaitable, Callable
from dataclasses import replace

from teleport_operator.conditions import State
from teleport_operator.metrics import OperatorMetrics
from teleport_operator.obstacles import RACES, Obstacle, asking_auth
from teleport_operator.reconcile.planning import Change, Plan, Situation, plan_token
from teleport_operator.tokens import Tokens

MAX_ATTEMPTS = 4


class TokenKeeping:
    """Brings one token after the other to what is declared.

    Args:
        tokens: the cluster's.
        metrics: counts changes.
    """

    def __init__(self, *, tokens: Tokens, metrics: OperatorMetrics) -> None:
        self._tokens = tokens
        self._metrics = metrics

    async def keep(self, situation: Situation, protect: Callable[[], Awaitable[None]]) -> Plan:
        """Make a plan and carry it out; return the last one.

        Args:
            situation: as far as it is known.
            protect: called before anything is written, so that the token does not outlive its object.

        Raises:
            Obstacle: auth does not answer, or refuses.
        """
        name = situation.declaration.head.name if situation.name is None else situation.name
        for _ in range(MAX_ATTEMPTS):
            plan = plan_token(situation)
            if plan.change is Change.NONE:
                return plan
            await protect()
            with asking_auth():
                try:
                    await self._carry_out(plan, situation)
                except RACES:
                    situation = replace(situation, actual=await self._tokens.get(name), was_active=False)
                    continue
            self._count(plan.change)
            return plan
        raise Obstacle(State.AUTH_UNREACHABLE, "the token keeps changing in the cluster")

    async def _carry_out(self, plan: Plan, situation: Situation) -> None:
        if plan.token is None:
            return
        if situation.actual is None:
            await self._tokens.create(plan.token)
        else:
            await self._tokens.update(plan.token, situation.actual)

    def _count(self, change: Change) -> None:
        self._metrics.changes.labels(change).inc()
        if change is Change.REPAIR:
            self._metrics.repairs.inc()
