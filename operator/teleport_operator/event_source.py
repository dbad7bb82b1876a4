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

from teleport.clock import Clock
from teleport.kube.api_server import ApiServer, TokenFile
from teleport.kube.custom_objects import without_managed_fields
from teleport.web.readiness import Readiness
from teleport_operator.background import stop_by_signals, wait_or_stop
from teleport_operator.declaration import GROUP, PLURAL, VERSION
from teleport_operator.feed import ObjectFeed
from teleport_operator.settings import OperatorSettings
from teleport_operator.watch_session import Attendant, open_watch_session

SERVER_TIMEOUT = timedelta(minutes=5)
LOGIN_LIFE = timedelta(minutes=5)
"""The kubelet replaces a token long before its end; kopf by itself would look only after a refusal."""
LONGEST_BACKOFF = timedelta(seconds=10)
STEADY = timedelta(minutes=1)
"""A watch that ends after so long ended for another reason than the one before it."""
_NOT_OURS = "kopf.invalid/never-set"
"""kopf removes its finalizer from objects for which it has nothing to do: it must not be one that exists."""

logger = logging.getLogger(__name__)


class _Backoffs:
    """Waits without end, in seconds: after a finite number of errors kopf would end the process."""

    def __iter__(self) -> Iterator[float]:
        return chain((1, 1, 2, 3, 5, 8), repeat(LONGEST_BACKOFF.total_seconds()))


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
    # kopf would kill the process so long after a watch that broke, although it goes on with another one.
    settings.process.ultimate_exiting_timeout = None
    return settings


def build_registry(server: ApiServer, feed: ObjectFeed, *, readiness: Readiness, clock: Clock) -> kopf.OperatorRegistry:
    """Return the two handlers there are: one that says how to talk to the API server, and one that hands objects on.

    Args:
        server: the API server.
        feed: told of every object, and of its end.
        readiness: told whether the API server lets us watch.
        clock: for the age of the token file.
    """
    registry = kopf.OperatorRegistry()
    token_file = TokenFile(server.token_file, clock)
    attendant = Attendant(readiness)

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.AiohttpSession:  # noqa: ANN401 - whatever kopf passes
        token_file.forget()
        return kopf.AiohttpSession(
            server=server.url,
            aiohttp_session=open_watch_session(server, token_file.read(), attendant),
            expiration=datetime.now(UTC) + LOGIN_LIFE,  # by the machine's clock, as kopf reads it
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
    """Watch until the event is set, which a signal does.

    All tasks that are begun meanwhile are ended by kopf in the end; those that were there before are not.
    """
    _quieten()
    loop = asyncio.get_running_loop()
    pauses = iter(_Backoffs())
    with suppress(asyncio.CancelledError):
        while not stop.is_set():
            began = loop.time()
            try:
                await _watch_once(settings, registry, stop)
            except Exception as error:  # noqa: BLE001 - whatever kopf holds to be the end of everything is none
                if loop.time() - began >= STEADY.total_seconds():
                    pauses = iter(_Backoffs())
                pause = next(pauses)
                # Its text may quote the API server, which may name an object.
                logger.warning("a watch ended with %s; watching anew in %s s", type(error).__name__, pause)
                await wait_or_stop(stop, pause)


async def _watch_once(settings: OperatorSettings, registry: kopf.OperatorRegistry, stop: asyncio.Event) -> None:
    before = asyncio.all_tasks()
    tasks = await kopf.spawn_tasks(
        registry=registry,
        settings=build_settings(),
        standalone=True,
        clusterwide=not settings.namespaces,
        namespaces=settings.namespaces,
        stop_flag=stop,
    )
    stop_by_signals(stop)  # kopf has begun to listen to them itself, and nothing has been waited for since
    await kopf.run_tasks(tasks, ignored=before)


def _quieten() -> None:
    """Keep kopf's lines for every object out of the log: they name objects, whose names may be secret."""
    logging.getLogger("kopf.objects").setLevel(logging.WARNING)
