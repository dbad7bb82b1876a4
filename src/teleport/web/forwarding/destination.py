"""What is decided of a request: where it goes and how its headers are made, or what is answered instead."""

import asyncio
import logging
import secrets
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from http import HTTPStatus

from teleport.errors import TeleportError
from teleport.web.call import Peer, Reply
from teleport.web.errors import STATUS_BY_CODE, MalformedRequest, build_error_reply
from teleport.web.forwarding.head import RequestHead
from teleport.web.forwarding.plan import HeaderPlan

_LOGGER = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Upstream:
    """One way to an application.

    Args:
        key: tells it from other ways; a connection that was opened for a key serves later requests with the same key.
        open: connects a protocol of the given factory before it returns, as `loop.create_connection` does; what it
            returns is not looked at. It raises `TeleportError`, `OSError` or `TimeoutError` if that cannot be done.
    """

    key: str
    open: Callable[[Callable[[], asyncio.Protocol]], Awaitable[object]]


@dataclass(frozen=True, slots=True)
class Destination:
    """An application that the request may reach.

    Args:
        upstreams: the ways to it, tried in this order until one opens; a request of which a byte was sent is never
            sent again.
        plan: what becomes of the headers.
    """

    upstreams: tuple[Upstream, ...]
    plan: HeaderPlan


Chosen = Destination | Reply
Chooser = Callable[[RequestHead, Peer], Chosen | Awaitable[Chosen]]
"""Decides about each request of a connection; it may raise any `TeleportError`."""
ErrorPage = Callable[[HTTPStatus, str, str], Reply]
"""Makes an answer of a status, a sentence and the request id that stands in the log."""


def build_plain_error(status: HTTPStatus, message: str, request_id: str) -> Reply:
    """Say what went wrong in plain text."""
    return Reply(int(status), f"{message}\nrequest {request_id}\n".encode(), "text/plain; charset=utf-8")


def build_refusal(error: Exception, build_error: ErrorPage) -> Reply:
    """Return the answer to a request that the chooser, or the parser, refused by an exception."""
    if isinstance(error, MalformedRequest) or (isinstance(error, TeleportError) and error.code in STATUS_BY_CODE):
        return build_error_reply(error)
    if isinstance(error, TeleportError):
        return report_trouble(HTTPStatus.BAD_GATEWAY, "the application cannot be reached", error, build_error)
    return report_trouble(HTTPStatus.INTERNAL_SERVER_ERROR, "internal error", error, build_error)


def report_trouble(status: HTTPStatus, message: str, cause: Exception | None, build_error: ErrorPage) -> Reply:
    """Log what went wrong under a new request id, and return an answer that tells the client no more than the id.

    A foreign error's text may repeat what the client sent; of it only the class is logged.
    """
    request_id = secrets.token_hex(8)
    detail = cause.message if isinstance(cause, TeleportError) else type(cause).__name__ if cause else "no reason"
    _LOGGER.warning("request %s: %s: %s", request_id, message, detail)
    return build_error(status, message, request_id)
