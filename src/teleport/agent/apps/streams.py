"""Streams that are open to applications: what becomes of each request, and of streams whose right has ended."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from datetime import timedelta
from http import HTTPStatus

import orjson

from teleport.agent.apps.arrival import EarlyConnection
from teleport.agent.apps.headers import ASSERTION_HEADER, build_plan
from teleport.agent.apps.judge import Admission, AppJudge
from teleport.config.settings import Target
from teleport.errors import AccessDenied, TeleportError
from teleport.pki.assertion import Assertion
from teleport.web.call import Peer, Reply
from teleport.web.forwarding.destination import Chosen, Destination, Upstream
from teleport.web.forwarding.head import RequestHead
from teleport.web.forwarding.targets import Target as Address

SWEEP = timedelta(seconds=5)
_HEADER = ASSERTION_HEADER.lower().encode("ascii")

logger = logging.getLogger(__name__)


class AppRequests:
    """Decides about the requests of one stream; what was decided last is not decided anew while it is fresh.

    Args:
        app: as it is configured.
        address: where it is.
        judge: knows who may open it.
        early: the first connection to it.
    """

    def __init__(self, app: Target, address: Address, *, judge: AppJudge, early: EarlyConnection) -> None:
        self._app = app
        self._address = address
        self._judge = judge
        self._upstreams = (Upstream(f"app/{app.name}", early.open),)
        self._value: bytes | None = None
        self._destination: Destination | None = None
        self.admission: Admission | None = None

    def choose(self, head: RequestHead, peer: Peer) -> Chosen | Awaitable[Chosen]:
        """Say whether a request goes on."""
        value = head.get(_HEADER)
        if self._destination is not None and value == self._value and self._admission_is_fresh():
            return self._destination
        return self._decide(head, value, peer)

    def _admission_is_fresh(self) -> bool:
        return self.admission is not None and self._judge.is_fresh(self.admission)

    async def _decide(self, head: RequestHead, value: bytes | None, peer: Peer) -> Chosen:
        try:
            text = (value or b"").decode("ascii", "replace")
            admission = await self._judge.admit(text, self._app)
        except AccessDenied as error:
            where = f"a request of {peer.remote_addr} to application {self._app.name!r}"
            logger.warning("%s is refused: %s", where, error.message)
            return _refuse()
        if self._destination is None or value != self._value:
            plan = build_plan(self._app, self._address, admission, head.host)
            self._destination = Destination(self._upstreams, plan)
        self._value, self.admission = value, admission
        return self._destination


def _refuse() -> Reply:
    error = {"code": "access_denied", "message": "the agent of this application refuses the request; its log says why"}
    return Reply(int(HTTPStatus.FORBIDDEN), orjson.dumps({"error": error}))


class OpenStreams:
    """Streams over which something is under way, and by whose right.

    Args:
        judge: is asked again.
    """

    def __init__(self, judge: AppJudge) -> None:
        self._judge = judge
        self._open: dict[object, tuple[Target, Callable[[], Assertion | None], Callable[[], None]]] = {}

    def add(self, key: object, app: Target, right: Callable[[], Assertion | None], cut: Callable[[], None]) -> None:
        """Take in a stream.

        Args:
            key: what it is known by.
            app: where it leads.
            right: returns by what it is used now, or None while nothing is under way.
            cut: ends it.
        """
        self._open[key] = (app, right, cut)

    def remove(self, key: object) -> None:
        """Forget a stream that is gone."""
        self._open.pop(key, None)

    async def keep_sweeping(self) -> None:
        """Cut what may not go on any more, until cancelled."""
        while True:
            await asyncio.sleep(SWEEP.total_seconds())
            await self.sweep()

    async def sweep(self) -> None:
        """Judge everything that is under way by the rules of now."""
        for app, right, cut in list(self._open.values()):
            assertion = right()
            if assertion is None:
                continue
            try:
                await self._judge.check(assertion, app)
            except TeleportError as error:
                logger.warning("a connection of user %r to application %r is cut: %s", assertion.user, app.name, error)
                cut()

    def cut_all(self) -> None:
        """Cut everything."""
        for _, _, cut in list(self._open.values()):
            cut()
