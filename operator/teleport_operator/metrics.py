"""The operator's metrics; names that controller-runtime has too mean the same, so that its dashboards work."""

from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

CONTROLLER = "teleportprovisiontoken"
_SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)


class Result(StrEnum):
    """What came of one look at an object."""

    SUCCESS = "success"
    ERROR = "error"


class OperatorMetrics:
    """The collectors of one operator.

    Args:
        registry: where they are registered; one process has one.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        by_controller, by_queue = ("controller",), ("name",)
        self._reconciles = Counter(
            "controller_runtime_reconcile", "Looks at objects", ("controller", "result"), registry=registry
        )
        self.errors = Counter(
            "controller_runtime_reconcile_errors", "Looks that failed", by_controller, registry=registry
        ).labels(CONTROLLER)
        self.seconds = Histogram(
            "controller_runtime_reconcile_time_seconds",
            "Time of a look",
            by_controller,
            buckets=_SECONDS,
            registry=registry,
        ).labels(CONTROLLER)
        self.active_workers = Gauge(
            "controller_runtime_active_workers", "Looks under way", by_controller, registry=registry
        ).labels(CONTROLLER)

        self.depth = Gauge("workqueue_depth", "Objects that wait", by_queue, registry=registry).labels(CONTROLLER)
        self.adds = Counter("workqueue_adds", "Objects that began to wait", by_queue, registry=registry).labels(
            CONTROLLER
        )
        self.retries = Counter(
            "workqueue_retries", "Looks put off after a failure", by_queue, registry=registry
        ).labels(CONTROLLER)
        self.waited = Histogram(
            "workqueue_queue_duration_seconds",
            "Time that objects waited",
            by_queue,
            buckets=_SECONDS,
            registry=registry,
        ).labels(CONTROLLER)

        self.leader = Gauge("leader_election_master_status", "1 while this process leads", ("name",), registry=registry)
        self.objects = Gauge("teleport_operator_objects", "Objects that are watched", registry=registry)
        self.lost_events = Counter(
            "teleport_operator_lost_events",
            "Changes that a list found before the watch told of them",
            registry=registry,
        )
        self.repairs = Counter(
            "teleport_token_drift_repairs", "Tokens put back to what was declared", registry=registry
        )
        self.changes = Counter(
            "teleport_token_changes", "Changes of tokens in the cluster", ("change",), registry=registry
        )
        self.status_writes = Counter("teleport_token_status_writes", "Statuses written", registry=registry)
        self.orphaned = Counter(
            "teleport_token_orphaned", "Tokens left behind because auth did not answer in time", registry=registry
        )
        self.identity_expiry = Gauge(
            "teleport_identity_expiry_timestamp_seconds", "When the operator's certificate ends", registry=registry
        )
        self.clock_skew = Gauge(
            "teleport_operator_clock_skew_seconds",
            "How far this machine's clock is ahead of the API server's",
            registry=registry,
        )
        ProcessCollector(registry=registry)

    def count(self, result: Result) -> None:
        """Count a look."""
        self._reconciles.labels(CONTROLLER, result).inc()
        if result is Result.ERROR:
            self.errors.inc()

    @contextmanager
    def observe(self) -> Iterator[None]:
        """Measure a look for the time of a block."""
        with self.active_workers.track_inprogress(), self.seconds.time():
            yield
