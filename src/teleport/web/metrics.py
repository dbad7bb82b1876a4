"""Every metric of a process, declared in one place; names that the original has too mean the same."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, ProcessCollector

from teleport.version import VERSION
from teleport.web.readiness import Readiness, State

_FAST = (0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0)
"""Seconds; an embedded store answers in tenths of a millisecond, a remote one in tens."""


class Metrics:
    """The collectors of one process.

    Args:
        registry: where they are registered; one process has one.
    """

    def __init__(self, registry: CollectorRegistry) -> None:
        self.joins = Counter("teleport_joins", "Judged joins", ("method", "outcome", "reason"), registry=registry)
        self.heartbeats = Counter("teleport_heartbeats", "Heartbeats accepted", registry=registry)
        self.audit_events = Counter("teleport_audit_emit_events", "Audit events written", registry=registry)
        self.audit_failures = Counter("audit_failed_emit_events", "Failures to write the audit file", registry=registry)

        self.logins = Counter("user_login", "Logins of users", registry=registry)
        self.failed_logins = Counter("failed_login_attempts", "Logins refused", registry=registry)

        self.token_reviews = Histogram(
            "teleport_kubernetes_token_review_seconds",
            "TokenReviews, answered or not",
            buckets=_FAST,
            registry=registry,
        )
        self.token_reviews_in_flight = Gauge(
            "teleport_kubernetes_token_reviews_in_flight", "TokenReviews under way", registry=registry
        )

        self.backend_read = Histogram("backend_read_seconds", "Reads of one key", buckets=_FAST, registry=registry)
        self.backend_range = Histogram(
            "backend_batch_read_seconds", "Reads of a range", buckets=_FAST, registry=registry
        )
        self.backend_commit = Histogram("backend_write_seconds", "Commits", buckets=_FAST, registry=registry)

        self.connections = Gauge("teleport_connections", "Open connections", registry=registry)
        self.connections_accepted = Counter("teleport_connections_accepted", "Connections accepted", registry=registry)
        closed = Counter(
            "teleport_connections_refused", "Connections closed before HTTP", ("reason",), registry=registry
        )
        self.connections_over_limit = closed.labels("limit")
        self.connections_unwelcome = closed.labels("unwelcome")
        self.handshake_failures = closed.labels("handshake")
        self.alpn_refusals = closed.labels("alpn")

        self.tunnels = Gauge(
            "teleport_reverse_tunnels_connected",
            "Services of agents that have a tunnel here",
            ("type",),
            registry=registry,
        )
        self.tunnel_conflicts = Counter(
            "teleport_reverse_tunnel_conflicts",
            "Tunnels of a host whose identity another process uses, too",
            registry=registry,
        )

        self.process_state = Gauge("process_state", "0 ok, 1 recovering, 2 degraded, 3 starting", registry=registry)
        self.process_state.set(State.STARTING)
        build = Gauge("teleport_build_info", "Always 1", ("version", "python"), registry=registry)
        build.labels(VERSION, platform.python_version()).set(1)
        ProcessCollector(registry=registry)

    @contextmanager
    def observe_token_review(self) -> Iterator[None]:
        """Measure one TokenReview for the time of a block."""
        with self.token_reviews_in_flight.track_inprogress(), self.token_reviews.time():
            yield

    def follow(self, readiness: Readiness) -> None:
        """Let the gauge `process_state` tell what `/readyz` tells."""
        self.process_state.set_function(lambda: readiness.state)
