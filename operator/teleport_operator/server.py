"""Puts the operator together, and runs it until a signal ends it."""

import asyncio
import os
import socket
import tempfile
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from datetime import timedelta
from pathlib import Path

from prometheus_client import CollectorRegistry

from teleport.clock import Clock
from teleport.config.value_file import read_regular_file
from teleport.errors import BadParameter
from teleport.join.catalog import build_judges, find_method
from teleport.join.method import Judge, JudgeContext
from teleport.kube.api import KubeApi
from teleport.kube.api_server import ApiServer, find_in_cluster
from teleport.kube.connection import KubeConnection
from teleport.kube.custom_objects import CustomKind, CustomObjects
from teleport.kube.delivered_secrets import DeliveredSecrets
from teleport.kube.kubeconfig import load_kubeconfig
from teleport.kube.leases import Leases
from teleport.kube.object_events import ObjectEvents
from teleport.web.diagnostics import Diagnostics
from teleport.web.readiness import Readiness
from teleport_operator.announcing import Announcing
from teleport_operator.auth_link import AuthLink
from teleport_operator.background import running, stop_by_signals
from teleport_operator.controller import Controller
from teleport_operator.declaration import GROUP, KIND, PLURAL, VERSION
from teleport_operator.delegation import MAX_BYTES, Delegation, parse_delegation
from teleport_operator.deletion import Deletion
from teleport_operator.election import Election
from teleport_operator.event_source import build_registry, watch
from teleport_operator.feed import ObjectFeed
from teleport_operator.following import Following
from teleport_operator.identity import BotJoin, FileIdentity, IdentitySource
from teleport_operator.keeping import TokenKeeping
from teleport_operator.looking import Looking
from teleport_operator.metrics import OperatorMetrics
from teleport_operator.object_writing import ObjectWriting
from teleport_operator.objects import Key, ObjectCache
from teleport_operator.preflight import Check, Preflight, Status
from teleport_operator.resync import Resync
from teleport_operator.secret_keeping import SecretKeeping
from teleport_operator.server_clock import ServerClock
from teleport_operator.settings import OperatorSettings
from teleport_operator.tokens import Tokens
from teleport_operator.upkeep import Upkeep
from teleport_operator.uses import UsesPoll
from teleport_operator.work import Worker
from teleport_operator.work_queue import WorkQueue

FIELD_MANAGER = "teleport-operator"
KUBE_TIMEOUT = timedelta(seconds=10)
PATIENCE_WITH_AUTH = timedelta(seconds=20)
"""After the start; objects are told only then that auth does not answer."""


async def run_operator(settings: OperatorSettings, *, clock: Clock) -> None:
    """Run the operator.

    Raises:
        TeleportError: it cannot be started.
    """
    async with AsyncExitStack() as stack:
        operator = Operator(settings, server=find_api_server(settings, stack), clock=clock)
        await operator.run(stack)


async def run_preflight(settings: OperatorSettings, *, clock: Clock, show: Callable[[Check], None]) -> bool:
    """Check what an operator with these settings needs, and return whether it could work.

    Raises:
        TeleportError: the settings contradict each other.
    """
    load_delegation(settings)
    async with AsyncExitStack() as stack:
        server = find_api_server(settings, stack)
        connection, api = KubeConnection(server, clock=clock), KubeApi(server, clock=clock)
        stack.push_async_callback(connection.close)
        stack.push_async_callback(api.close)
        preflight = Preflight(
            settings,
            api=api,
            connection=connection,
            objects=build_objects(connection),
            judges=build_pure_judges(clock),
            source=build_identity_source(settings, clock),
            clock=clock,
        )
        is_ready = True
        async for check in preflight.run():
            show(check)
            is_ready = is_ready and check.status is not Status.MISSING
        return is_ready


def find_api_server(settings: OperatorSettings, stack: AsyncExitStack) -> ApiServer:
    """Return the API server of the kubeconfig, or of the cluster that this process is a pod of.

    What a kubeconfig holds lies in files until the stack ends; a pod, where nothing may be writable, needs none.

    Raises:
        BadParameter: there is neither.
    """
    if settings.kubeconfig is not None:
        folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="teleport-operator-"))
        return load_kubeconfig(settings.kubeconfig, Path(folder))
    server = find_in_cluster(os.environ)
    if server is None:
        raise BadParameter("this process is no pod of a cluster; give --kubeconfig")
    return server


def build_identity_source(settings: OperatorSettings, clock: Clock) -> IdentitySource:
    """Return where the operator's identity comes from.

    Raises:
        BadParameter: nothing says which auth server is the right one, or the CA file cannot be read.
    """
    if settings.identity_file is not None:
        return FileIdentity(settings.identity_file)
    if not settings.ca_pins and settings.ca_file is None:
        raise BadParameter("nothing says which auth server is the right one: give --ca-pin or --ca-file")
    return BotJoin(
        address=settings.auth_server,
        token_name=settings.token,
        method_name=settings.join_method,
        method=find_method(settings.join_method),
        pins=settings.ca_pins,
        ca_pems=() if settings.ca_file is None else (_read_ca(settings.ca_file),),
        clock=clock,
    )


def build_objects(connection: KubeConnection) -> CustomObjects:
    """Return the declared tokens of the API server at the other end."""
    return CustomObjects(connection, CustomKind(GROUP, VERSION, PLURAL, KIND), field_manager=FIELD_MANAGER)


def build_pure_judges(clock: Clock) -> Mapping[str, Judge]:
    """Return judges that say whether a token could be stored, and ask nobody."""
    return build_judges(JudgeContext(cluster_name="", clock=clock))


def load_delegation(settings: OperatorSettings) -> Delegation:
    """Return what namespaces may declare.

    Raises:
        BadParameter: the file cannot be read or understood.
    """
    if settings.delegation_file is None:
        return Delegation(settings.namespace, None)
    return parse_delegation(read_regular_file(settings.delegation_file, MAX_BYTES), settings.namespace)


def _read_ca(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError) as error:
        raise BadParameter(f"cannot read CA certificates from {path}") from error


class Operator:
    """An operator; `run` does everything.

    Args:
        settings: of the process.
        server: the API server.
        clock: the machine's.
    """

    def __init__(self, settings: OperatorSettings, *, server: ApiServer, clock: Clock) -> None:
        self._settings = settings
        self._server = server
        self._delegation = load_delegation(settings)
        self._instance = f"{socket.gethostname()}_{os.urandom(8).hex()}"
        self._registry = CollectorRegistry()
        self._metrics = OperatorMetrics(self._registry)
        self._readiness = Readiness(clock)
        self._clock = ServerClock(clock, readiness=self._readiness, on_set=self._look_at_all)
        self._connection = KubeConnection(server, clock=clock, timeout=KUBE_TIMEOUT, on_time=self._clock.learn)
        self._objects = build_objects(self._connection)
        self._link = AuthLink(
            address=settings.auth_server,
            source=build_identity_source(settings, self._clock),
            readiness=self._readiness,
            on_expiry=lambda end: self._metrics.identity_expiry.set(end.timestamp()),
            clock=self._clock,
        )
        self._tokens = Tokens(self._link, operator=settings.operator_id)
        self._cache = ObjectCache()
        self._queue: WorkQueue[Key] = WorkQueue(on_added=self._metrics.adds.inc, on_retry=self._metrics.retries.inc)
        self._uses = UsesPoll(tokens=self._tokens)
        self._feed = ObjectFeed(cache=self._cache, queue=self._queue, on_gone=self._uses.forget)
        self._election = Election(
            Leases(self._connection, namespace=settings.namespace),
            name=settings.lease,
            me=self._instance,
            on_change=self._change_role,
            clock=self._clock,
        )
        self._metrics.depth.set_function(lambda: len(self._queue))
        self._metrics.objects.set_function(lambda: len(self._cache))
        self._metrics.clock_skew.set_function(self._get_skew)

    async def run(self, stack: AsyncExitStack) -> None:
        """Run until a signal ends it; the stack closes everything.

        Raises:
            TeleportError: a port cannot be listened on.
            BackgroundEnded: something that should go on for ever did not.
        """
        stop = asyncio.Event()
        stop_by_signals(stop)
        stack.push_async_callback(self._connection.close)
        await self._start_diagnostics(stack)
        following = Following(
            resync=Resync(
                objects=self._objects, namespaces=self._settings.namespaces, cache=self._cache, feed=self._feed
            ),
            tokens=self._tokens,
            feed=self._feed,
            readiness=self._readiness,
            metrics=self._metrics,
            drift_interval=self._settings.drift_interval,
        )
        announcing = Announcing(
            ObjectEvents(self._connection, component=FIELD_MANAGER, instance=self._instance),
            is_busy=lambda: len(self._queue) > self._settings.workers,
            clock=self._clock,
        )
        controller = self._build_controller(announcing)
        work = [
            Worker(queue=self._queue, controller=controller, election=self._election, metrics=self._metrics).run()
            for _ in range(self._settings.workers)
        ]
        endless = [
            self._link.run(),
            following.follow_tokens(),
            following.follow_objects(),
            self._take_part(following),
            self._uses.run(self._feed.add_uid),
            announcing.run(),
            *work,
        ]
        async with running(endless, stop):
            await following.load(stop)
            # All tasks that begin from here on are kopf's to end, so everything of ours has begun before.
            registry = build_registry(self._server, self._feed, readiness=self._readiness, clock=self._clock)
            await watch(self._settings, registry, stop)

    async def _take_part(self, following: Following) -> None:
        """Stand for election as soon as there is something to work with."""
        await following.wait_until_known(PATIENCE_WITH_AUTH)
        await self._election.run()

    async def _start_diagnostics(self, stack: AsyncExitStack) -> None:
        diagnostics = Diagnostics(
            host=self._settings.diag_addr.host,
            port=self._settings.diag_addr.port,
            readiness=self._readiness,
            registry=self._registry,
            clock=self._clock,
        )
        await diagnostics.start()
        stack.push_async_callback(diagnostics.stop)

    def _build_controller(self, announcing: Announcing) -> Controller:
        writing = ObjectWriting(objects=self._objects, cache=self._cache, metrics=self._metrics, clock=self._clock)
        secrets = DeliveredSecrets(self._connection, field_manager=FIELD_MANAGER)
        upkeep = Upkeep(
            tokens=self._tokens,
            keeping=TokenKeeping(tokens=self._tokens, metrics=self._metrics),
            secrets=SecretKeeping(secrets=secrets),
            writing=writing,
            operator=self._settings.operator_id,
            clock=self._clock,
        )
        return Controller(
            cache=self._cache,
            queue=self._queue,
            looking=Looking(
                cache=self._cache,
                judges=build_pure_judges(self._clock),
                delegation=self._delegation,
                upkeep=upkeep,
            ),
            deletion=Deletion(tokens=self._tokens),
            writing=writing,
            announcing=announcing,
            uses=self._uses,
            metrics=self._metrics,
            deletion_timeout=self._settings.deletion_timeout,
            clock=self._clock,
        )

    def _change_role(self, leads: bool) -> None:  # noqa: FBT001 - an answer to one question
        self._metrics.leader.labels(self._settings.lease).set(leads)
        if leads:
            self._look_at_all()

    def _look_at_all(self) -> None:
        self._feed.add_everything()

    def _get_skew(self) -> float:
        return self._clock.skew.total_seconds()
