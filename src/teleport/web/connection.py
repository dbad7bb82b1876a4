"""One HTTP/1.1 connection: requests one after another, each with its deadlines; an idle one holds next to nothing."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from http import HTTPStatus
from math import inf
from typing import Protocol, cast

from teleport.web.call import Call, Peer, Reply, RequestHead, Route, Takeover
from teleport.web.errors import MalformedRequest, build_error_reply
from teleport.web.incoming import Incoming, Turn
from teleport.web.wire import render_head

_LOGGER = logging.getLogger(__name__)

WRITE_TIMEOUT = timedelta(seconds=10)
"""For so long a peer may leave an answer unread before the connection is cut, the last answer included."""
LINGER = timedelta(seconds=1)
"""For so long the rest of a refused body is thrown away, so that the peer gets to see why."""
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"


class Service(Protocol):
    """Who decides and answers."""

    def now(self) -> int:
        """Return seconds since 1970, for the answers' heads."""
        ...

    def admit(self, head: RequestHead, peer: Peer) -> Route | Takeover:
        """Return the route of a request whose body is still to come or who takes the connection, or raise why not."""
        ...

    async def answer(self, route: Route, call: Call) -> Reply:
        """Answer a request, or raise why not."""
        ...


class HttpConnection(asyncio.Protocol):
    """A connection with its peer.

    Args:
        service: decides and answers.
        peer: who is at the other end.
        idle_timeout: how long the connection may wait for a complete request head, the first one included.
        body_timeout: how long a body may take once its head is there.
        on_closed: is called once, when the connection is gone.
    """

    __slots__ = (
        "_body_timeout",
        "_deadline",
        "_drained",
        "_idle_timeout",
        "_incoming",
        "_is_first",
        "_is_last",
        "_loop",
        "_on_closed",
        "_service",
        "_task",
        "_timer",
        "_transport",
        "_writing_paused",
        "peer",
    )

    def __init__(
        self,
        service: Service,
        *,
        peer: Peer,
        idle_timeout: timedelta,
        body_timeout: timedelta,
        on_closed: Callable[[], None],
    ) -> None:
        self.peer = peer
        self._service = service
        self._loop = asyncio.get_running_loop()
        self._idle_timeout = idle_timeout.total_seconds()
        self._body_timeout = body_timeout.total_seconds()
        self._on_closed: Callable[[], None] | None = on_closed
        self._transport: asyncio.Transport | None = None
        self._incoming: Incoming | None = None
        """Only there while a request is coming in or waits for its answer."""
        self._task: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._deadline = inf
        self._is_first = True
        self._is_last = False
        self._writing_paused = False
        self._drained: asyncio.Future[None] | None = None
        """Is waited for by the writer of a long answer."""

    @property
    def is_busy(self) -> bool:
        """Return whether an answer is being made."""
        return self._task is not None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request."""
        self._transport = cast("asyncio.Transport", transport)
        self._expect_within(self._idle_timeout)

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002 - asyncio's signature
        """Forget the connection; an answer that is being made is made to its end, and thrown away."""
        if self._timer is not None:
            self._timer.cancel()
        self._transport = self._timer = None
        self._forget_incoming()
        self._wake_writer()
        on_closed, self._on_closed = self._on_closed, None  # which knows this connection in turn
        if on_closed is not None:
            on_closed()

    def data_received(self, data: bytes) -> None:
        """Read on; what comes before its turn is read once, and then left in the kernel."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if self._incoming is None:
            self._incoming = Incoming(self._admit, is_first=self._is_first)
            self._is_first = False
        incoming = self._incoming
        awaited_body = incoming.awaits_body
        incoming.feed(data)
        if self._is_held_up:
            transport.pause_reading()
            return
        if incoming.awaits_body and not awaited_body:
            self._deadline = inf
        self._take_turns()

    def pause_writing(self) -> None:
        """Hold the next answer back; a peer that reads nothing for long is cut."""
        self._writing_paused = True
        self._expect_within(WRITE_TIMEOUT.total_seconds())

    def resume_writing(self) -> None:
        """Go on."""
        self._writing_paused = False
        self._wake_writer()
        if self._incoming is not None:
            self._deadline = inf
            self._take_turns()

    def finish(self) -> None:
        """Close the connection when the answer that is being made, if there is one, has left."""
        self._is_last = True
        if self._task is None:
            self._close()

    async def wait_until_answered(self) -> None:
        """Return when no answer is being made."""
        if self._task is not None:
            await asyncio.wait((self._task,))

    def abort(self) -> None:
        """Cut the connection."""
        if self._transport is not None:
            self._transport.abort()

    @property
    def _is_held_up(self) -> bool:
        """Return whether the next turn has to wait."""
        return self._task is not None or self._writing_paused

    def _admit(self, head: RequestHead) -> Route | Takeover:
        return self._service.admit(head, self.peer)

    def _take_turns(self) -> None:
        """Give the answers that are due, each in its turn and as far as the peer reads; rest when there are none."""
        while self._incoming is not None and not self._is_held_up:
            if self._transport is None or self._transport.is_closing():
                self._forget_incoming()
            elif self._incoming.turns:
                self._deadline = inf
                self._take_turn(self._incoming.turns.popleft())
            else:
                self._rest(self._transport, self._incoming)
                return

    def _take_turn(self, turn: Turn) -> None:
        if turn.reply is not None:
            self._write(turn, turn.reply)
        elif turn.route is not None:
            self._task = self._loop.create_task(self._answer(turn, turn.route))
        elif turn.takeover is not None:
            self._hand_over(turn.takeover)

    def _hand_over(self, takeover: Takeover) -> None:
        """Let another protocol go on, with what was read already; this one is done, and hears of nothing any more."""
        transport, incoming, on_closed = self._transport, self._incoming, self._on_closed
        if transport is None or incoming is None or on_closed is None:
            return
        leftover = incoming.leftover
        self._forget_incoming()
        self._transport = self._on_closed = None
        if self._timer is not None:
            self._timer.cancel()
        if takeover.greeting:
            transport.write(takeover.greeting)
        transport.resume_reading()
        protocol = takeover.connect(on_closed)
        transport.set_protocol(protocol)
        protocol.connection_made(transport)
        if leftover:
            protocol.data_received(leftover)

    async def _answer(self, turn: Turn, route: Route) -> None:
        try:
            reply = await self._service.answer(route, Call(self.peer, turn.body, turn.head))
        except Exception as error:  # noqa: BLE001 - the border: whatever it is becomes a status
            reply = build_error_reply(error)
        if reply.parts is not None and not turn.head_only:
            self._write_head(turn, reply)
            await self._write_parts(reply.parts, reply.length)
        self._task = None
        if reply.parts is None or turn.head_only:
            self._write(turn, reply)
        elif self._is_last_answer(turn):
            self._close()
        self._take_turns()

    async def _write_parts(self, parts: AsyncGenerator[bytes, None], length: int) -> None:
        """Write a long body as fast as the peer reads it; a body that is not what was announced breaks off."""
        try:
            async with aclosing(parts):
                async for part in parts:
                    length -= len(part)
                    if length < 0 or self._transport is None or self._transport.is_closing():
                        break
                    self._transport.write(part)
                    await self._wait_until_drained()
        except Exception as error:  # noqa: BLE001 - the head has left, so that no status can tell
            _LOGGER.error("an answer broke off: %s", type(error).__name__)  # noqa: TRY400 - its text may be a caller's
        if length:
            self.abort()

    async def _wait_until_drained(self) -> None:
        if self._writing_paused:
            self._drained = self._loop.create_future()
            await self._drained

    def _wake_writer(self) -> None:
        if self._drained is not None and not self._drained.done():
            self._drained.set_result(None)
        self._drained = None

    def _write(self, turn: Turn, reply: Reply) -> None:
        """Write an answer as one piece, and close the connection after the last one."""
        self._write_head(turn, reply, b"" if turn.head_only else reply.body)
        if self._is_last_answer(turn):
            self._close()

    def _write_head(self, turn: Turn, reply: Reply, body: bytes = b"") -> None:
        if _LOGGER.isEnabledFor(logging.DEBUG):
            what = f"{turn.route.method} {turn.route.path}" if turn.route is not None else "a refused request"
            _LOGGER.debug("%s %d %s", what, reply.status, self.peer.remote_addr)
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        keep_alive = turn.keep_alive and not self._is_last
        transport.write(render_head(reply, keep_alive=keep_alive, now=self._service.now()) + body)

    def _is_last_answer(self, turn: Turn) -> bool:
        return self._is_last or not (turn.keep_alive or turn.unread)

    def _rest(self, transport: asyncio.Transport, incoming: Incoming) -> None:
        """Wait for the next request, for the rest of one, or for a refused peer to see why."""
        if incoming.is_between_requests:
            self._forget_incoming()
        elif incoming.awaits_continue:
            incoming.awaits_continue = False
            transport.write(_CONTINUE)
        transport.resume_reading()
        if self._deadline != inf:
            return
        if incoming.ended:
            self._expect_within(LINGER.total_seconds())
        else:
            self._expect_within(self._body_timeout if incoming.awaits_body else self._idle_timeout)

    def _forget_incoming(self) -> None:
        if self._incoming is not None:
            self._incoming.close()
            self._incoming = None

    def _close(self) -> None:
        """Read nothing more, and close the connection when what was written has left."""
        self._forget_incoming()
        if self._transport is not None:
            self._transport.close()
            self._expect_within(WRITE_TIMEOUT.total_seconds())

    def _expect_within(self, seconds: float) -> None:
        """Set the deadline; the one timer of a connection is moved only where it would come too late."""
        self._deadline = self._loop.time() + seconds
        if self._timer is not None:
            if self._timer.when() <= self._deadline:
                return
            self._timer.cancel()
        self._timer = self._loop.call_at(self._deadline, self._look_at_deadline)

    def _look_at_deadline(self) -> None:
        self._timer = None
        transport = self._transport
        if transport is None or self._deadline == inf:
            return
        if self._loop.time() < self._deadline:
            self._timer = self._loop.call_at(self._deadline, self._look_at_deadline)
        elif self._writing_paused or transport.is_closing():
            transport.abort()
        elif self._incoming is not None and self._incoming.awaits_body:
            late = MalformedRequest("the body did not arrive in time", HTTPStatus.REQUEST_TIMEOUT)
            self._incoming.refuse_for_good(late)
            self._take_turns()
        else:
            self._close()
