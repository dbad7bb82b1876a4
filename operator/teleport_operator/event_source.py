"""kopf as the source of events and nothing more: it watches, and hands every object on.

Nothing is remembered, retried or written by it: no annotations, no finalizer, no handler state. What it may lose, the
list of `resync.py` finds.
"""

import asyncio
import logging
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from typing import Any

import kopf
from kopf._cogs.clients.watching import WatchingError

from teleport.clock import Clock
from teleport.kube.api_server import ApiServer, TokenFile
from teleport.kube.custom_objects import without_managed_fields
from teleport_operator.background import stop_by_signals, wait_or_stop
from teleport_operator.declaration import GROUP, PLURAL, VERSION
from teleport_operator.feed import ObjectFeed
from teleport_operator.settings import OperatorSettings

SERVER_TIMEOUT = timedelta(minutes=5)
LOGIN_LIFE = timedelta(minutes=5)
"""The kubelet replaces a token long before its end; kopf by itself would look only after a refusal."""
EXIT_TIMEOUT = timedelta(seconds=20)
LONGEST_BACKOFF = timedelta(seconds=30)
PAUSE = timedelta(seconds=1)
"""Before the watch begins anew that the API server ended with an error."""
_NOT_OURS = "kopf.invalid/never-set"
"""kopf removes its finalizer from objects for which it has nothing to do: it must not be one that exists."""

logger = logging.getLogger(__name__)


class _Backoffs:
    """Waits without end: after a finite number of errors kopf would end the process."""

    def __iter__(self) -> Iterator[float]:
        return chain((1, 1, 2, 3, 5, 8, 13, 21), repeat(LONGEST_BACKOFF.total_seconds()))


class _NothingToCompare(kopf.DiffBaseStorage):
    """No handler asks what has changed, for which kopf would copy every object several times."""

    def build(self, *, body: kopf.Body, extra_fields: object = None) -> kopf.BodyEssence:  # noqa: ARG002 - as kopf calls it
        return kopf.BodyEssence({})

    def fetch(self, *, body: kopf.Body) -> None: ...

    def store(self, *, body: kopf.Body, patch: kopf.Patch, essence: kopf.BodyEssence) -> None: ...


class _NothingInProgress(kopf.ProgressStorage):
    """No handler is tried again by kopf."""

    def fetch(self, *, key: str, body: kopf.Body) -> None: ...

    def store(self, *, key: str, record: object, body: kopf.Body, patch: kopf.Patch) -> None: ...

    def purge(self, *, key: str, body: kopf.Body, patch: kopf.Patch) -> None: ...

    def touch(self, *, body: kopf.Body, patch: kopf.Patch, value: str | None) -> None: ...

    def clear(self, *, essence: kopf.BodyEssence) -> kopf.BodyEssence:
        return essence


def build_settings() -> kopf.OperatorSettings:
    """Return kopf's settings."""
    settings = kopf.OperatorSettings()
    settings.persistence.diffbase_storage = _NothingToCompare()
    settings.persistence.progress_storage = _NothingInProgress()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.persistence.finalizer = _NOT_OURS
    settings.queueing.idle_timeout = 0.1
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = int(SERVER_TIMEOUT.total_seconds())  # the API server reads no fractions
    settings.watching.client_timeout = SERVER_TIMEOUT.total_seconds() + 10
    settings.watching.connect_timeout = 10
    settings.networking.connect_timeout = 10
    settings.networking.request_timeout = 30
    settings.networking.error_backoffs = _Backoffs()
    settings.process.ultimate_exiting_timeout = EXIT_TIMEOUT.total_seconds()
    return settings


def build_registry(server: ApiServer, feed: ObjectFeed, clock: Clock) -> kopf.OperatorRegistry:
    """Return the two handlers there are: one that says how to talk to the API server, and one that hands objects on.

    Args:
        server: the API server.
        feed: told of every object, and of its end.
        clock: for the age of the token file.
    """
    registry = kopf.OperatorRegistry()
    token_file = TokenFile(server.token_file, clock)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:  # noqa: ANN401 - whatever kopf passes
        token_file.forget()
        certificate, key = server.client_certificate or (None, None)
        return kopf.ConnectionInfo(
            server=server.url,
            ca_path=server.ca_file,
            token=token_file.read() or None,
            certificate_path=certificate,
            private_key_path=key,
            expiration=datetime.now(UTC) + LOGIN_LIFE,
        )

    @kopf.on.event(GROUP, VERSION, PLURAL, registry=registry)
    async def hand_on(event: kopf.RawEvent, **_: Any) -> None:  # noqa: ANN401 - whatever kopf passes
        raw: Any = event["object"]
        if event["type"] == "DELETED":
            feed.take_gone(raw)
        else:
            feed.take(without_managed_fields(raw))

    return registry


async def watch(settings: OperatorSettings, registry: kopf.OperatorRegistry, stop: asyncio.Event) -> None:
    """Watch until a signal, or the event, ends it.

    All tasks that are begun meanwhile are ended by kopf in the end; those that were there before are not.
    """
    _quieten()

    @kopf.on.startup(registry=registry)
    async def take_signals_back(**_: Any) -> None:  # noqa: ANN401 - whatever kopf passes
        # kopf listens to signals itself, and would then wait five seconds for its own look at the event.
        stop_by_signals(stop)

    with suppress(asyncio.CancelledError):
        while not stop.is_set():
            try:
                await kopf.operator(
                    registry=registry,
                    settings=build_settings(),
                    standalone=True,
                    clusterwide=not settings.namespaces,
                    namespaces=settings.namespaces,
                    stop_flag=stop,
                )
            except WatchingError:  # whatever a watch ends with but 410 kopf holds to be the end of everything
                logger.warning("the API server ended a watch with an error; watching anew")
                await wait_or_stop(stop, PAUSE.total_seconds())
            else:  # it ends for a signal as well, which it may have heard in our place
                return


def _quieten() -> None:
    """Keep kopf's lines for every object out of the log: they name objects, whose names may be secret."""
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
