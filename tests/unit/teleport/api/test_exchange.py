import asyncio
from contextlib import suppress

import pytest

from support.fake_transport import FakeTransport
from teleport.api import exchange as exchange_module
from teleport.api.channel import Answer
from teleport.api.exchange import Exchange
from teleport.errors import ConnectionFailed

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}"


class Asking:
    """An exchange whose server is the test."""

    def __init__(self) -> None:
        self.transport = FakeTransport()
        self.exchange = Exchange("auth.example.com:3025")
        self.transport.connect(self.exchange)

    async def ask(self, body: bytes | None = None) -> asyncio.Task[Answer]:
        """Send a request."""
        method = "GET" if body is None else "POST"
        task = asyncio.create_task(self.exchange.ask(method, "/v1/ping", headers={"X-Version": "1"}, body=body))
        await asyncio.sleep(0)
        return task

    async def ask_and_answer(self, *pieces: bytes) -> Answer:
        task = await self.ask()
        for piece in pieces:
            self.exchange.data_received(piece)
        return await task

    async def ask_and_fail(self, *pieces: bytes) -> str:
        task = await self.ask()
        for piece in pieces:
            self.exchange.data_received(piece)
        with pytest.raises(ConnectionFailed) as failure:
            await task
        assert not self.exchange.is_usable
        return failure.value.message


async def test_a_request_goes_out_as_it_was_given() -> None:
    asking = Asking()
    task = await asking.ask(b'{"a":1}')
    assert asking.transport.written == (
        b'POST /v1/ping HTTP/1.1\r\nHost: auth.example.com:3025\r\nX-Version: 1\r\nContent-Length: 7\r\n\r\n{"a":1}'
    )
    asking.exchange.data_received(OK)
    assert await task == Answer(200, b"{}")


async def test_an_answer_may_come_byte_by_byte_and_the_next_one_follows() -> None:
    asking = Asking()
    for _ in range(3):
        assert await asking.ask_and_answer(*(OK[at : at + 1] for at in range(len(OK)))) == Answer(200, b"{}")
        assert asking.exchange.is_usable


async def test_when_to_come_back_is_part_of_the_answer() -> None:
    refusal = b"HTTP/1.1 503 Service Unavailable\r\nretry-after: 7\r\nContent-Length: 0\r\n\r\n"
    assert await Asking().ask_and_answer(refusal) == Answer(503, b"", "7")


async def test_a_server_that_closes_afterwards_is_not_asked_again() -> None:
    asking = Asking()
    await asking.ask_and_answer(b"HTTP/1.1 200 OK\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")
    assert not asking.exchange.is_usable


@pytest.mark.parametrize(
    "noise", [b"SSH-2.0-OpenSSH\r\n", b"\x00\x01", b"HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n"]
)
async def test_what_is_not_http_is_an_error_of_ours(noise: bytes) -> None:
    assert "is not HTTP" in await Asking().ask_and_fail(noise)


async def test_the_size_of_an_answer_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "MAX_ANSWER_BYTES", 64)
    monkeypatch.setattr(exchange_module, "MAX_HEAD_BYTES", 64)
    head = b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n"
    fits = 64 + 64 - len(head % 87)
    assert (await Asking().ask_and_answer(head % fits, b"x" * fits)).body == b"x" * fits
    assert "larger than 64 bytes" in await Asking().ask_and_fail(head % (fits + 1), b"x" * (fits + 1))


async def test_a_head_without_an_end_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exchange_module, "MAX_ANSWER_BYTES", 64)
    monkeypatch.setattr(exchange_module, "MAX_HEAD_BYTES", 64)
    assert "larger than" in await Asking().ask_and_fail(b"HTTP/1.1 200 OK\r\n", *[b"X: y\r\n"] * 100)


async def test_a_connection_that_breaks_fails_the_request_and_no_other_is_sent() -> None:
    asking = Asking()
    task = await asking.ask()
    asking.exchange.data_received(OK[:20])
    asking.transport.lose()
    with pytest.raises(ConnectionFailed, match="closed the connection"):
        await task
    with pytest.raises(ConnectionFailed):
        await asking.exchange.ask("GET", "/", headers={}, body=None)


async def test_an_answer_that_nobody_has_asked_for_cuts_the_connection() -> None:
    asking = Asking()
    asking.exchange.data_received(OK)
    assert asking.transport.aborted


async def test_two_answers_to_one_request_cut_the_connection() -> None:
    asking = Asking()
    await asking.ask_and_answer(OK)
    asking.exchange.data_received(OK)
    assert asking.transport.aborted


async def test_two_requests_at_once_are_refused() -> None:
    asking = Asking()
    task = await asking.ask()
    with pytest.raises(ConnectionFailed):
        await asking.exchange.ask("GET", "/", headers={}, body=None)
    asking.exchange.data_received(OK)
    assert (await task).status == 200


async def test_who_is_cancelled_cuts_the_connection_since_an_answer_may_still_come() -> None:
    asking = Asking()
    task = await asking.ask()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task
    assert asking.transport.aborted
