"""The one writer of objects: of their status by server-side apply, and of the finalizer."""

from collections.abc import Sequence

from teleport.clock import Clock
from teleport.kube.custom_objects import CustomObjects, RawObject
from teleport_operator.conditions import Report, State
from teleport_operator.declaration import FINALIZER
from teleport_operator.head import parse_head
from teleport_operator.metrics import OperatorMetrics
from teleport_operator.objects import ObjectCache, key_of
from teleport_operator.outcome import Outcome
from teleport_operator.reconcile.expiry import Expiry
from teleport_operator.status import Uses, build_status, is_written, read_recorded


class ObjectWriting:
    """Writes what is different, and lets the cache know.

    Args:
        objects: of the cluster.
        cache: their newest copies.
        metrics: counts statuses.
        clock: since when conditions hold.
    """

    def __init__(self, *, objects: CustomObjects, cache: ObjectCache, metrics: OperatorMetrics, clock: Clock) -> None:
        self._objects = objects
        self._cache = cache
        self._metrics = metrics
        self._clock = clock

    async def write_status(self, raw: RawObject, outcome: Outcome, uses: Uses) -> None:
        """Write the status that a look at this copy ends with, unless it stands there already."""
        newest = self._newest(raw)
        status = build_status(
            outcome.report,
            head=parse_head(raw),
            recorded=read_recorded(newest),
            expiry=outcome.expiry,
            uses=uses,
            secret=outcome.secret,
            now=self._clock.now(),
        )
        if is_written(newest, status):
            return
        self._take(raw, await self._objects.apply_status(raw, status))
        self._metrics.status_writes.inc()

    async def record_expiry(self, raw: RawObject, expiry: Expiry) -> None:
        """Write when a token will end, before it is written: after a crash it must not end later."""
        recorded = read_recorded(raw)
        report = Report(State.PENDING, "a new expiry is being set")
        await self.write_status(raw, Outcome(report, expiry, secret=recorded.secret), recorded.uses)

    async def protect(self, raw: RawObject) -> None:
        """Set the finalizer, unless the token shall stay when the object goes."""
        head = parse_head(self._newest(raw))
        if FINALIZER not in head.finalizers and not head.orphans:
            await self._set_finalizers(raw, [*head.finalizers, FINALIZER])

    async def release(self, raw: RawObject) -> None:
        """Take the finalizer away: nothing of this operator is left that would outlive the object."""
        head = parse_head(self._newest(raw))
        if FINALIZER in head.finalizers:
            await self._set_finalizers(raw, [each for each in head.finalizers if each != FINALIZER])

    async def _set_finalizers(self, raw: RawObject, finalizers: Sequence[str]) -> None:
        newest = self._newest(raw)
        self._take(raw, await self._objects.set_finalizers(newest, finalizers))

    def _newest(self, raw: RawObject) -> RawObject:
        """Return the newest copy of this very object."""
        known = self._cache.get(key_of(raw))
        return known if known is not None and known["metadata"]["uid"] == raw["metadata"]["uid"] else raw

    def _take(self, raw: RawObject, written: RawObject | None) -> None:
        if written is not None and written["metadata"]["uid"] == raw["metadata"]["uid"]:
            self._cache.put(written)
