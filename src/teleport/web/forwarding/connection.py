"""A client's connection whose requests are forwarded: what a request becomes, and when its connection ends."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import timedelta
from http import HTTPStatus
from typing import cast

from teleport.clock import Clock
from teleport.errors import ConnectionFailed
from teleport.web.call import Peer, Reply
from teleport.web.errors import MalformedRequest, build_error_reply
from teleport.web.forwarding.body import BadBody, Body, build_body
from teleport.web.forwarding.channel import Channel
from teleport.web.forwarding.deadline import Deadline
from teleport.web.forwarding.destination import Chooser, ErrorPage, build_plain_error, report_trouble
from teleport.web.forwarding.dispatching import Dispatcher, Outcome
from teleport.web.forwarding.head import NO_BODY, RequestHead
from teleport.web.forwarding.limits import ForwardingLimits
from teleport.web.forwarding.plan import HeaderPlan
from teleport.web.forwarding.request_reader import RequestReader
from teleport.web.forwarding.upstream import UpstreamConnection
from teleport.web.wire import render_head

_LOGGER = logging.getLogger(__name__)

LINGER = timedelta(seconds=5)
"""For so long the rest of a body that nobody wants is thrown away, so that the client gets to see the answer."""


class ForwardingConnection(asyncio.Protocol):
    """A connection with a client; its first request's host is its only one.

    Args:
        chooser: decides about each request.
        peer: who is at the other end.
        limits: deadlines, and bounds of heads.
        clock: dates the answers that are made here.
        on_closed: is called once, when the connection is gone.
        build_error: makes the answers that say that an application cannot be reached.
    """

    __slots__ = (
        "_answer_begun",
        "_body",
        "_build_error",
        "_channel",
        "_clock",
        "_deadline",
        "_dispatcher",
        "_draining",
        "_ended",
        "_head",
        "_is_last",
        "_keep_alive",
        "_limits",
        "_on_closed",
        "_reader",
        "_relay_ended",
        "_relaying",
        "_upstream",
        "_waiters",
        "_writing_paused",
        "peer",
    )

    def __init__(
        self,
        chooser: Chooser,
        *,
        peer: Peer,
        limits: ForwardingLimits,
        clock: Clock,
        on_closed: Callable[[], None],
        build_error: ErrorPage = build_plain_error,
    ) -> None:
        self.peer = peer
        self._limits = limits
        self._clock = clock
        self._on_closed = on_closed
        self._build_error = build_error
        self._deadline = Deadline()
        self._dispatcher = Dispatcher(
            chooser, peer=peer, limits=limits, build_error=build_error, deliver=self._act_later
        )
        self._channel = Channel()
        self._reader = RequestReader(limits)
        self._head: RequestHead | None = None
        """The request that is being answered."""
        self._body: Body | None = None
        """What is missing of it, or nothing."""
        self._upstream: UpstreamConnection | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self._keep_alive = self._answer_begun = False
        self._is_last = self._ended = self._draining = False
        self._relaying = self._relay_ended = False
        self._writing_paused = False

    @property
    def is_busy(self) -> bool:
        """Return whether a request is being answered, or both sides speak another protocol."""
        return self._head is not None

    def finish(self) -> None:
        """Close the connection when the present request is answered."""
        self._is_last = True
        if self._head is None and not self._draining:
            self._close()

    async def wait_until_answered(self) -> None:
        """Return when no request is being answered."""
        while self._head is not None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter

    def abort(self) -> None:
        """Cut the connection, whatever is spoken on it."""
        self._channel.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for the first request."""
        self._channel.attach(cast("asyncio.Transport", transport))
        self._deadline.set(self._limits.idle, self._close)

    def connection_lost(self, exc: Exception | None) -> None:
        """Let go of everything; an application learns that nobody waits for its answer any more."""
        self._channel.detach()
        self._deadline.cancel()
        self._dispatcher.close()
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            if self._relaying and exc is None:
                upstream.close()
            else:
                upstream.abort()
        self._reader.take_received()
        self._forget_request()
        self._on_closed()

    def eof_received(self) -> bool:
        """Answer what was asked, and then close; a body that ends too early is nothing that an application gets."""
        if self._relaying and self._upstream is not None:
            self._upstream.end_writing()
            return self._end_relay_half() and self._channel.can_half_close
        self._ended = True
        return self._head is not None and self._body is None and self._channel.can_half_close

    def pause_writing(self) -> None:
        """Hold the answer back; a client that reads nothing for long is cut."""
        self._writing_paused = True
        if self._upstream is not None:
            self._upstream.hold_answer()
        if not self._relaying:
            self._deadline.set(self._limits.stall, self.abort)

    def resume_writing(self) -> None:
        """Go on."""
        self._writing_paused = False
        if self._upstream is not None:
            self._upstream.release_answer()
        if self._channel.is_open and not self._draining:
            self._expect_progress()
            self._go_on()

    def data_received(self, data: bytes) -> None:
        """Send on what belongs to the present request; what comes before its turn is read once, and then held."""
        if self._relaying and self._upstream is not None:
            self._upstream.write((data,))
        elif self._draining or not self._channel.is_open:
            return
        elif self._body is not None and self._upstream is not None:
            self._pass_body(self._upstream, self._body, data)
        else:
            self._reader.add(data)
            if self._head is not None or self._writing_paused:
                self._channel.hold()
            else:
                self._go_on()

    # What the application's side tells.

    def begin_answer(self) -> bool:
        """Note that an answer is there; it is the last one if the request is not complete."""
        head = self._head
        self._answer_begun = True
        self._keep_alive = head is not None and head.keep_alive and self._body is None and not self._is_last
        self._expect_progress()
        return self._keep_alive

    def write(self, parts: Sequence[bytes]) -> None:
        """Send to the client."""
        self._channel.write(parts)

    def end_answer(self, status: int, *, reusable: bool) -> None:
        """Keep the application's connection, if it can be, and read the next request."""
        upstream, self._upstream = self._upstream, None
        self._log(status, upstream)
        if upstream is not None:
            if not reusable or self._body is not None:
                upstream.abort()
            elif self._channel.is_open:
                self._dispatcher.keep(upstream)
            else:
                upstream.close()
        self._settle()
        self._go_on()

    def fail(self, error: ConnectionFailed) -> None:
        """Answer that there is no answer; of one that has begun the rest is missing, and the framing shows it."""
        self._upstream = None
        if self._relaying:
            self._forget_request()
            self._close()
            return
        if not self._answer_begun:
            self._reply(self._report(HTTPStatus.BAD_GATEWAY, "the application does not answer", error))
            self._go_on()
            return
        _LOGGER.debug("an answer was cut short: %s", error.message)
        if self._head is not None and self._head.is_current:
            self._forget_request()
            self._close()
        else:
            self.abort()

    def begin_relay(self) -> None:
        """Pass bytes from now on."""
        self._relaying = True
        self._deadline.clear()
        received = self._reader.take_received()
        self._channel.release()
        if self._upstream is not None and received:
            self._upstream.write((received,))
        if self._upstream is not None and self._upstream.is_behind:
            self._channel.hold()

    def end_relay(self) -> None:
        """Tell the client that the application sends nothing more."""
        self._channel.end_writing()
        self._end_relay_half()

    def hold_upload(self) -> None:
        """Read no more, and give the application time."""
        self._channel.hold()
        if not (self._relaying or self._answer_begun):
            self._deadline.set(self._limits.answer, self._give_up)

    def release_upload(self) -> None:
        """Read on."""
        if self._relaying or self._body is not None:
            self._channel.release()
            self._expect_progress()

    # Requests, one after another.

    @property
    def _is_able(self) -> bool:
        """Return whether another answer can be written."""
        return self._channel.is_open and not (self._writing_paused or self._draining)

    def _read_requests(self) -> None:
        """Begin with all requests that are there and can be answered at once, and with the next one after them."""
        while self._reader.received and self._head is None and self._is_able:
            try:
                head = self._reader.read()
            except MalformedRequest as error:
                self._refuse(error)
                return
            if head is None:
                self._await_head()
                return
            self._begin(head)

    def _await_head(self) -> None:
        """Wait for the rest of a head, for which there is one deadline however slowly it comes."""
        if self._ended:
            self._close()
        elif not self._deadline.is_for(self._refuse_late):
            self._deadline.set(self._limits.head, self._refuse_late)

    def _begin(self, head: RequestHead) -> None:
        self._head = head
        self._deadline.clear()
        if head.body > 0 or head.body < NO_BODY:
            self._body = build_body(head.body, in_chunks=True)
        outcome = self._dispatcher.dispatch(head)
        if outcome is not None:
            self._act(outcome)

    def _act(self, outcome: Outcome) -> None:
        if isinstance(outcome, Reply):
            self._reply(outcome)
        else:
            self._send(*outcome)

    def _act_later(self, outcome: Outcome) -> None:
        """Act on an outcome for which the connection has waited."""
        self._act(outcome)
        self._go_on()

    def _send(self, upstream: UpstreamConnection, plan: HeaderPlan) -> None:
        """Send the request as far as it is there, and read on."""
        self._upstream = upstream
        parts: Sequence[bytes] = ()
        if self._body is not None and self._reader.received:
            try:
                parts = self._take_body(self._body, self._reader.take_received())
            except BadBody as error:
                upstream.close()
                self._upstream = None
                self._refuse(MalformedRequest(error.message))
                return
        if self._body is not None:
            self._channel.release()
        self._expect_progress()
        upstream.send_request(self, cast("RequestHead", self._head), plan, parts)
        if self._writing_paused:
            upstream.hold_answer()

    def _take_body(self, body: Body, data: bytes) -> Sequence[bytes]:
        """Return what is sent on of received bytes, and keep what belongs to the next request."""
        parts, rest = body.take(data)
        if body.is_done:
            self._body = None
            if rest:
                self._reader.add(rest)
                self._channel.hold()
        return parts

    def _pass_body(self, upstream: UpstreamConnection, body: Body, data: bytes) -> None:
        try:
            parts = self._take_body(body, data)
        except BadBody as error:
            upstream.abort()
            self._upstream = None
            self._refuse(MalformedRequest(error.message))
            return
        self._expect_progress()
        if parts:
            upstream.write(parts)

    # The ends of answers and of connections.

    def _report(self, status: HTTPStatus, message: str, cause: Exception | None) -> Reply:
        return report_trouble(status, message, cause, self._build_error)

    def _reply(self, reply: Reply) -> None:
        """Answer the present request; what is missing of it is not worth waiting for."""
        head = cast("RequestHead", self._head)
        self._log(reply.status, None)
        if self._body is not None and self._reader.received:
            with suppress(BadBody):
                self._take_body(self._body, self._reader.take_received())
        self._keep_alive = head.keep_alive and self._body is None and not self._is_last
        now = int(self._clock.now().timestamp())
        rendered = render_head(reply, keep_alive=self._keep_alive, now=now)
        self.write((rendered,) if head.method == b"HEAD" else (rendered, reply.body))
        self._settle()

    def _refuse(self, error: MalformedRequest) -> None:
        """Answer what is no request, as the last thing on this connection."""
        if self._answer_begun:
            self._forget_request()
            self.abort()
            return
        reply = build_error_reply(error)
        self._log(reply.status, None)
        rendered = render_head(reply, keep_alive=False, now=int(self._clock.now().timestamp()))
        self.write((rendered, reply.body))
        self._forget_request()
        self._linger()

    def _settle(self) -> None:
        """Leave the request behind."""
        unread, keep_alive = self._body is not None, self._keep_alive and not self._is_last
        self._forget_request()
        if unread:
            self._linger()
        elif not keep_alive:
            self._close()

    def _forget_request(self) -> None:
        self._head = self._body = None
        self._answer_begun = self._keep_alive = False
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():  # its caller was cancelled
                waiter.set_result(None)

    def _go_on(self) -> None:
        """Read the requests that are there, and wait for the next one if nothing else is due."""
        self._read_requests()
        if self._head is not None or not self._is_able:
            return
        if self._ended:
            self._close()
            return
        if not self._reader.received:
            self._deadline.set(self._limits.idle, self._close)
        self._channel.release()

    def _linger(self) -> None:
        """Let the client see the answer before the connection is closed on what it still sends."""
        self._draining = True
        self._reader.take_received()
        self._channel.release()
        self._deadline.set(LINGER, self._close)

    def _close(self) -> None:
        """Close when all is sent, and cut what is not sent in time."""
        if self._channel.is_open:
            self._channel.close()
            self._deadline.set(self._limits.stall, self.abort)

    def _end_relay_half(self) -> bool:
        """Note that one direction has ended; return whether the other one has not, and close both otherwise."""
        if not self._relay_ended:
            self._relay_ended = True
            return True
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.close()
        self._forget_request()
        self._close()
        return False

    def _expect_progress(self) -> None:
        """Set the deadline for what is due next."""
        if self._head is None or self._relaying or self._writing_paused:
            return
        if self._body is not None:
            self._deadline.set(self._limits.stall, self._refuse_late)
        elif not self._answer_begun:
            self._deadline.set(self._limits.answer, self._give_up)
        else:
            self._deadline.clear()

    def _refuse_late(self) -> None:
        """End a request of which the rest does not come."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        self._refuse(MalformedRequest("the request did not arrive in time", HTTPStatus.REQUEST_TIMEOUT))

    def _give_up(self) -> None:
        """End a request that the application does not answer."""
        upstream, self._upstream = self._upstream, None
        if upstream is not None:
            upstream.abort()
        self._reply(self._report(HTTPStatus.GATEWAY_TIMEOUT, "the application did not answer in time", None))
        self._go_on()

    def _log(self, status: int, upstream: UpstreamConnection | None) -> None:
        if _LOGGER.isEnabledFor(logging.DEBUG):
            method = self._head.method.decode() if self._head is not None else "a refused request"
            where = upstream.key if upstream is not None else "here"
            _LOGGER.debug("%s %d by %s for %s", method, status, where, self.peer.remote_addr)
