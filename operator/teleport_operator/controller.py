"""One look at one object, from its newest copy to its status, Events and the time of the next look."""

import logging
from dataclasses import replace
from datetime import timedelta

from teleport.clock import Clock
from teleport.kube.custom_objects import RawObject
from teleport.kube.object_events import ObjectEvent
from teleport_operator.announcing import Announcing
from teleport_operator.conditions import Report
from teleport_operator.declaration import FINALIZER, Head
from teleport_operator.deletion import Deletion, Farewell
from teleport_operator.head import parse_head
from teleport_operator.looking import Looking
from teleport_operator.metrics import OperatorMetrics
from teleport_operator.object_writing import ObjectWriting
from teleport_operator.objects import Key, ObjectCache
from teleport_operator.obstacles import Obstacle
from teleport_operator.outcome import Outcome
from teleport_operator.reconcile.telling import find_events
from teleport_operator.status import read_recorded
from teleport_operator.uses import UsesPoll
from teleport_operator.work_queue import WorkQueue

logger = logging.getLogger(__name__)

_FAREWELLS = {
    Farewell.DELETED: ObjectEvent(Farewell.DELETED, "the token was deleted in the cluster"),
    Farewell.ORPHANED: ObjectEvent(Farewell.ORPHANED, "the object goes, and the token stays in the cluster"),
}
_LEFT_BEHIND = (
    "the auth server did not answer for so long that the object goes without its token, which may still let "
    "somebody in; delete it with `tctl tokens rm`"
)


class Controller:
    """Looks at objects.

    Args:
        cache: their newest copies.
        queue: where later looks are ordered.
        looking: at those that stay.
        deletion: of those that go.
        writing: of statuses and finalizers.
        announcing: tells people.
        uses: what is known of joins.
        metrics: counts.
        deletion_timeout: how long an object waits for auth before it goes without its token's deletion.
        clock: the present.
    """

    def __init__(
        self,
        *,
        cache: ObjectCache,
        queue: WorkQueue[Key],
        looking: Looking,
        deletion: Deletion,
        writing: ObjectWriting,
        announcing: Announcing,
        uses: UsesPoll,
        metrics: OperatorMetrics,
        deletion_timeout: timedelta,
        clock: Clock,
    ) -> None:
        self._cache = cache
        self._queue = queue
        self._looking = looking
        self._deletion = deletion
        self._writing = writing
        self._announcing = announcing
        self._uses = uses
        self._metrics = metrics
        self._deletion_timeout = deletion_timeout
        self._clock = clock

    async def reconcile(self, key: Key) -> bool:
        """Look at an object as it is now, and return whether all is well; where it is not, another look is due soon.

        Raises:
            TeleportError: Kubernetes does not answer, or somebody else changed the object meanwhile.
        """
        raw = self._cache.get(key)
        if raw is None:
            self._queue.forget(key)
            return True
        head = parse_head(raw)
        if head.deleting_since is None:
            return await self._look(key, raw, head)
        return FINALIZER not in head.finalizers or await self._finish(raw, head)

    async def _look(self, key: Key, raw: RawObject, head: Head) -> bool:
        recorded = read_recorded(raw)
        recorded = replace(recorded, uses=self._uses.count(head, recorded.uses))
        outcome = await self._looking.look(raw, recorded)
        self._uses.follow(head.uid, outcome.name)
        await self._writing.write_status(raw, outcome, recorded.uses)
        told = find_events(
            outcome.report,
            recorded,
            changes=outcome.changes,
            notes=outcome.notes,
            generation=head.generation,
        )
        self._announcing.tell(raw, told)
        self._queue.pause(outcome.asked_wait)
        if outcome.look_again is not None:
            self._queue.add_after(key, max(outcome.look_again - self._clock.now(), timedelta()) + timedelta(seconds=1))
        return not outcome.failed

    async def _finish(self, raw: RawObject, head: Head) -> bool:
        """Let an object go whose token is gone, or has been waited for long enough."""
        try:
            event = _FAREWELLS.get(await self._deletion.finish(head))
        except Obstacle as obstacle:
            self._queue.pause(obstacle.asked_wait)
            waited = self._clock.now() - (head.deleting_since or head.created)
            if waited < self._deletion_timeout:
                await self._report_blocked(raw, obstacle)
                return False
            logger.warning("an object of namespace %s: %s (%s)", head.namespace, _LEFT_BEHIND, obstacle.message)
            self._metrics.orphaned.inc()
            event = ObjectEvent("TokenLeftBehind", _LEFT_BEHIND, is_warning=True)
        await self._writing.release(raw)
        self._uses.forget(head.uid)
        self._announcing.tell(raw, [] if event is None else [event])
        return True

    async def _report_blocked(self, raw: RawObject, obstacle: Obstacle) -> None:
        recorded = read_recorded(raw)
        report = Report(
            obstacle.state,
            obstacle.message,
            deletion_blocked=f"{obstacle.message}; the object waits for {self._deletion_timeout} at most",
        )
        outcome = Outcome(report, recorded.expiry, secret=recorded.secret)
        await self._writing.write_status(raw, outcome, recorded.uses)
        self._announcing.tell(raw, find_events(report, recorded, changes=(), notes=(), generation=0))
