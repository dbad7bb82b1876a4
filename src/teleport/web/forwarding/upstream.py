"""A connection to an application: one request after another, and the answers on their way back."""

import asyncio
from collections.abc import Callable, Sequence
from http import HTTPStatus
from typing import Protocol, cast

from teleport.errors import ConnectionFailed
from teleport.web.forwarding.body import BadBody, Body, build_body
from teleport.web.forwarding.channel import Channel
from teleport.web.forwarding.head import END, UNTIL_CLOSE, AnswerHead, RequestHead, parse_answer_head
from teleport.web.forwarding.limits import ForwardingLimits
from teleport.web.forwarding.plan import HeaderPlan

MAX_INTERIM = 16
"""Interim answers (1xx) to one request."""


class Client(Protocol):
    """Who waits for an answer."""

    def begin_answer(self) -> bool:
        """Note that the answer's head is there; return whether the client's connection lives on after it."""
        ...

    def write(self, parts: Sequence[bytes]) -> None:
        """Send to the client."""
        ...

    def end_answer(self, status: int, *, reusable: bool) -> None:
        """Note that the answer is complete, and whether its connection may carry another request."""
        ...

    def fail(self, error: ConnectionFailed) -> None:
        """Note that there is no answer, or no rest of it."""
        ...

    def begin_relay(self) -> None:
        """Note that both sides speak another protocol from now on."""
        ...

    def end_relay(self) -> None:
        """Note that the application sends nothing more in it."""
        ...

    def hold_upload(self) -> None:
        """Read no more of the request: the application is behind."""
        ...

    def release_upload(self) -> None:
        """Go on reading the request."""
        ...


class UpstreamConnection(asyncio.Protocol):
    """A connection that is used by one client alone.

    Args:
        key: which way to which application it is.
        limits: of heads and waits.
        on_lost: is called once, when the connection is gone.
    """

    __slots__ = (
        "_answer",
        "_body",
        "_channel",
        "_client",
        "_idle_until",
        "_interim",
        "_limits",
        "_loop",
        "_on_lost",
        "_plan",
        "_received",
        "_relaying",
        "_request",
        "_timer",
        "is_behind",
        "key",
    )

    def __init__(self, key: str, *, limits: ForwardingLimits, on_lost: Callable[["UpstreamConnection"], None]) -> None:
        self.key = key
        self._limits = limits
        self._on_lost = on_lost
        self._loop = asyncio.get_running_loop()
        self._channel = Channel()
        self._client: Client | None = None
        self._request: RequestHead | None = None
        self._plan: HeaderPlan | None = None
        self._answer: AnswerHead | None = None
        self._body: Body | None = None
        self._received = b""
        self._interim = 0
        self._relaying = False
        self.is_behind = False
        """The application reads more slowly than it is sent to."""
        self._idle_until = 0.0
        self._timer: asyncio.TimerHandle | None = None

    @property
    def is_open(self) -> bool:
        """Return whether a request can be sent."""
        return self._channel.is_open

    @property
    def is_fresh(self) -> bool:
        """Return whether it is open and the other side may be expected to have it open, too."""
        return self.is_open and self._loop.time() < self._idle_until

    def send_request(self, client: Client, head: RequestHead, plan: HeaderPlan, parts: Sequence[bytes]) -> None:
        """Send a request's head, and as much of its body as is there."""
        self._client, self._request, self._plan = client, head, plan
        self._interim = 0
        self.write([plan.render_request(head), *parts])
        if self.is_behind:
            client.hold_upload()

    def write(self, parts: Sequence[bytes]) -> None:
        """Send more of the body, or what the client says in another protocol."""
        self._channel.write(parts)

    def end_writing(self) -> None:
        """Tell the application that the client sends nothing more in the other protocol."""
        self._channel.end_writing()

    def hold_answer(self) -> None:
        """Read no more of the answer: the client is behind."""
        self._channel.hold()

    def release_answer(self) -> None:
        """Go on reading the answer."""
        self._channel.release()

    def rest(self) -> None:
        """Wait for the next request, for as long as the limits say; a client that was behind holds nothing any more."""
        self._channel.release()
        self._idle_until = self._loop.time() + self._limits.upstream_idle.total_seconds()
        if self._timer is None:
            self._timer = self._loop.call_at(self._idle_until, self._look_at_idleness)

    def close(self) -> None:
        """Close when what was written has left; the client is told nothing more."""
        self._client = None
        self._channel.close()

    def abort(self) -> None:
        """Cut the connection; the client is told nothing more."""
        self._client = None
        self._channel.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Wait for a request."""
        self._channel.attach(cast("asyncio.Transport", transport))

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell the client, if one waits."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._channel.detach()
        self._on_lost(self)
        if self._client is None:
            return
        if exc is not None or self._relaying:
            self._fail("the connection to the application broke")
        else:
            self._meet_end(self._client)

    def eof_received(self) -> bool:
        """Note the end of an answer, or of one direction of another protocol."""
        if self._client is None:
            return False
        can_half_close = self._channel.can_half_close
        self._meet_end(self._client)
        return self._relaying and can_half_close

    def pause_writing(self) -> None:
        """Hold the client back."""
        self.is_behind = True
        if self._client is not None:
            self._client.hold_upload()

    def resume_writing(self) -> None:
        """Let the client go on."""
        self.is_behind = False
        if self._client is not None:
            self._client.release_upload()

    def data_received(self, data: bytes) -> None:
        """Pass an answer on; what nobody asked for ends the connection."""
        client = self._client
        if client is None:
            self.abort()
        elif self._relaying:
            client.write((data,))
        elif self._body is not None:
            taken = self._take(self._body, data)
            if taken is not None:
                self._send_on(client, self._body, taken[0], rest=taken[1])
        else:
            self._received = self._received + data if self._received else data
            self._read_heads(client)

    def _read_heads(self, client: Client) -> None:
        """Read on until the final answer's head is there."""
        while self._client is not None and self._body is None and not self._relaying:
            end = self._received.find(END) + len(END)
            if end < len(END) or end > self._limits.max_head:
                if len(self._received) > self._limits.max_head:
                    self._fail("the head of the application's answer is too long")
                return
            raw, self._received = self._received[:end], self._received[end:]
            request = cast("RequestHead", self._request)
            try:
                head = parse_answer_head(raw, self._limits.max_fields, request.method)
            except ConnectionFailed as error:
                self._fail(error.message)
                return
            self._take_head(client, head, request)

    def _take_head(self, client: Client, head: AnswerHead, request: RequestHead) -> None:
        plan = cast("HeaderPlan", self._plan)
        if head.status == HTTPStatus.SWITCHING_PROTOCOLS:
            self._switch(client, head, request)
        elif head.status < HTTPStatus.OK:
            self._interim += 1
            if self._interim > MAX_INTERIM:
                self._fail("the application answers and answers, and never finally")
            elif request.is_current:
                client.write((plan.render_answer(head, request, keep_alive=True),))
        else:
            body = build_body(head.body, in_chunks=request.is_current)
            received, self._received = self._received, b""
            taken = self._take(body, received)
            if taken is None:
                return
            self._answer, self._body = head, body
            rendered = plan.render_answer(head, request, keep_alive=client.begin_answer())
            self._send_on(client, body, [rendered, *taken[0]], rest=taken[1])

    def _switch(self, client: Client, head: AnswerHead, request: RequestHead) -> None:
        """Become a relay, if that was asked for; whatever else an application says, a connection stays HTTP."""
        if not request.upgrade:
            self._fail("the application changed the protocol unasked")
            return
        rendered = cast("HeaderPlan", self._plan).render_answer(head, request, keep_alive=True)
        received, self._received = self._received, b""
        self._relaying = True
        client.write((rendered, received))
        client.begin_relay()

    def _take(self, body: Body, data: bytes) -> tuple[Sequence[bytes], bytes] | None:
        """Return what is sent on of received bytes, and what comes after the answer; nothing if it is no answer."""
        if body.is_done or not data:
            return (), data
        try:
            return body.take(data)
        except BadBody as error:
            self._fail(error.message)
            return None

    def _send_on(self, client: Client, body: Body, parts: Sequence[bytes], *, rest: bytes) -> None:
        if parts:
            client.write(parts)
        if body.is_done:
            self._end_answer(client, reusable=not rest)

    def _end_answer(self, client: Client, *, reusable: bool) -> None:
        answer = cast("AnswerHead", self._answer)
        self._client = self._answer = self._body = self._request = self._plan = None
        client.end_answer(answer.status, reusable=reusable and answer.keep_alive and answer.body != UNTIL_CLOSE)

    def _meet_end(self, client: Client) -> None:
        """Do what is due when the application sends nothing more."""
        if self._relaying:
            client.end_relay()
            return
        last = self._body.end() if self._body is not None else None
        if last is None:
            self._fail("the application closed the connection before its answer was complete")
            return
        if last:
            client.write((last,))
        self._end_answer(client, reusable=False)

    def _fail(self, message: str) -> None:
        client = self._client
        self.abort()
        if client is not None:
            client.fail(ConnectionFailed(message))

    def _look_at_idleness(self) -> None:
        self._timer = None
        if self._client is not None:
            return
        if self._loop.time() < self._idle_until:
            self._timer = self._loop.call_at(self._idle_until, self._look_at_idleness)
        else:
            self.close()
