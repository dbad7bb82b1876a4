"""HTTP as one API server speaks it: the bearer token, its statuses as our errors, JSON, and watches as lines."""

import re
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any
from urllib.parse import urlencode

import orjson

from teleport.clock import Clock
from teleport.errors import CompareFailed
from teleport.kube.api_server import ApiServer, TokenFile
from teleport.kube.errors import BadAnswer, Forbidden, Gone, Missing, NoAnswer, TooBusy, Untrusted
from teleport.kube.outgoing import (
    Answer,
    build_stream_timeout,
    open_session,
    parse_date,
    parse_object,
    read_answer,
    read_lines,
    translated,
)
from teleport.lean_aiohttp import aiohttp

MAX_ANSWER = 1024 * 1024
MAX_LINE = 4 * 1024 * 1024
"""An object is at most 1.5 MiB in etcd, and its JSON may be larger than what is stored."""
MAX_MESSAGE = 500
TIMEOUT = timedelta(seconds=5)
AT_ONCE = timedelta(seconds=1)
"""An answer that took longer may have been dated long ago."""
JSON = "application/json"

_JWT = re.compile(r"eyJ[A-Za-z0-9_.-]*|[A-Za-z0-9_-]{20,}\.[A-Za-z0-9_-]{20,}(\.[A-Za-z0-9_-]*)?")
"""As headers usually begin, or two long parts: a header may begin with white space."""


@dataclass(frozen=True, slots=True)
class Question:
    """One request, and what of its answer can be read."""

    method: str
    path: str
    body: Mapping[str, Any] | None = field(default=None, repr=False)
    query: Mapping[str, str] | None = None
    content_type: str = JSON
    accept: str = JSON
    limit: int = MAX_ANSWER
    """In bytes, of the answer."""


class KubeConnection:
    """Connections to one API server, kept alive between requests; to be closed.

    Args:
        server: where it is.
        clock: for the age of the token file.
        timeout: for each request, from its first byte to the last of its answer.
        on_time: told what time it is there, to the second, with every answer that says so and came at once.
    """

    def __init__(
        self,
        server: ApiServer,
        *,
        clock: Clock,
        timeout: timedelta = TIMEOUT,
        on_time: Callable[[datetime], object] | None = None,
    ) -> None:
        self._server = server
        self._clock = clock
        self._on_time = on_time
        self._timeout = timeout
        self._token_file = TokenFile(server.token_file, clock)
        # Not `create_default_context`: since Python 3.13 it wants extensions that the CAs of many clusters leave out.
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        self._session: aiohttp.ClientSession | None = None

    @property
    def own_token(self) -> str:
        """Return the token by which this process is known there.

        Raises:
            BadAnswer: it cannot be read.
        """
        return self._token_file.read()

    async def close(self) -> None:
        """Close the connections."""
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def call(self, question: Question) -> Mapping[str, Any]:
        """Send a request and return the object that is the answer.

        Raises:
            NoAnswer: see `ask`.
        """
        return parse_object(await self.fetch(question), "the API server")

    async def fetch(self, question: Question) -> bytes:
        """Send a request and return the bytes of a successful answer.

        Raises:
            NoAnswer: see `ask`.
        """
        return (await self.ask(question)).content

    async def ask(self, question: Question) -> Answer:
        """Send a request and return a successful answer; a 401 is tried once more with the token read anew.

        Raises:
            Forbidden: this process may not do that.
            Missing: the API server does not know it.
            CompareFailed: it changed meanwhile, or somebody else holds it.
            BadAnswer: an answer that is of no use, or a server that is not trusted.
            NoAnswer: unreachable, too slow, or too busy.
        """
        for _ in range(2):
            asked_at = self._clock.monotonic()
            async with self._send(question) as response:
                answer = await read_answer(response, question.limit)
            if answer.status != HTTPStatus.UNAUTHORIZED:
                break
            self._token_file.forget()
        self._tell_time(answer, timedelta(seconds=self._clock.monotonic() - asked_at))
        check_answer(answer)
        return answer

    def _tell_time(self, answer: Answer, age: timedelta) -> None:
        if self._on_time is not None and age <= AT_ONCE and (time := parse_date(answer.date)) is not None:
            self._on_time(time)

    async def watch(self, question: Question, *, silence: timedelta) -> AsyncGenerator[bytes, None]:
        """Yield the lines of a watch until the API server ends it.

        Args:
            question: says what is watched.
            silence: of so long means that the connection is dead.

        Raises:
            Gone: the watch begins too long ago.
            NoAnswer: see `ask`.
        """
        async with self._send(question, build_stream_timeout(silence)) as response:
            if response.status != HTTPStatus.OK:
                self._token_file.forget()
                check_answer(await read_answer(response, MAX_ANSWER))
            async with aclosing(read_lines(response, MAX_LINE)) as lines:
                async for line in lines:
                    yield line

    @asynccontextmanager
    async def _send(
        self, question: Question, stream: aiohttp.ClientTimeout | None = None
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        session = self._open()
        headers = {"Accept": question.accept}
        if token := self._token_file.read():
            headers["Authorization"] = f"Bearer {token}"
        body = None
        if question.body is not None:
            body = orjson.dumps(question.body)
            headers["Content-Type"] = question.content_type
        query = f"?{urlencode(question.query)}" if question.query else ""
        try:
            with translated(f"the Kubernetes API at {self._server.url}"):
                async with session.request(
                    question.method,
                    self._server.url + question.path + query,
                    data=body,
                    headers=headers,
                    allow_redirects=False,
                    timeout=stream or session.timeout,
                ) as response:
                    yield response
        except Untrusted:
            self._server.load_trust(self._context)  # a cluster that renews its CA writes it into the file before
            raise

    def _open(self) -> aiohttp.ClientSession:
        if self._session is None:
            self._server.load_trust(self._context)
            self._server.load_certificate(self._context)
            self._session = open_session(self._context, self._timeout)
        return self._session


def check_answer(answer: Answer) -> None:
    """Refuse an answer that is no success.

    Raises:
        NoAnswer: or one of its kinds, see `KubeConnection.ask`.
        CompareFailed: HTTP 409.
    """
    status = answer.status
    if HTTPStatus.OK <= status < HTTPStatus.MULTIPLE_CHOICES:
        return
    message = _read_message(answer.content)
    match status:
        case HTTPStatus.FORBIDDEN:
            raise Forbidden(f"Kubernetes does not allow it: {message}")
        case HTTPStatus.NOT_FOUND:
            raise Missing(f"Kubernetes does not know it: {message}")
        case HTTPStatus.CONFLICT:
            raise CompareFailed(f"Kubernetes refuses the change: {message}")
        case HTTPStatus.GONE:
            raise Gone(f"Kubernetes does not remember it: {message}")
    detail = f"the Kubernetes API answered {status}: {message}"
    if status == HTTPStatus.TOO_MANY_REQUESTS:
        raise TooBusy(detail, answer.retry_after)
    if status >= HTTPStatus.INTERNAL_SERVER_ERROR or status == HTTPStatus.REQUEST_TIMEOUT:
        raise NoAnswer(detail, answer.retry_after)
    raise BadAnswer(detail)


def hide_tokens(text: str) -> str:
    """Return the text without anything that looks like a token: the API server quotes what it could not read."""
    return _JWT.sub("(token)", text)


def _read_message(content: bytes) -> str:
    try:
        message = orjson.loads(content)["message"]
    except (ValueError, KeyError, TypeError):
        return "without a reason"
    return hide_tokens(str(message))[:MAX_MESSAGE]
