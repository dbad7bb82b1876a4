"""The one table from errors to HTTP statuses, and the body that every refusal has."""

import logging
import math
import secrets
import traceback
from dataclasses import dataclass
from datetime import timedelta
from http import HTTPStatus

import orjson

from teleport.errors import BadParameter, LimitExceeded, TeleportError, Unavailable
from teleport.web.call import Reply

_LOGGER = logging.getLogger(__name__)

STATUS_BY_CODE = {
    "bad_parameter": HTTPStatus.BAD_REQUEST,
    "version": HTTPStatus.BAD_REQUEST,
    "too_large": HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    "unauthenticated": HTTPStatus.UNAUTHORIZED,
    "access_denied": HTTPStatus.FORBIDDEN,
    "join_refused": HTTPStatus.FORBIDDEN,
    "membership_ended": HTTPStatus.FORBIDDEN,
    "not_found": HTTPStatus.NOT_FOUND,
    "already_exists": HTTPStatus.CONFLICT,
    "compare_failed": HTTPStatus.PRECONDITION_FAILED,
    "limit_exceeded": HTTPStatus.TOO_MANY_REQUESTS,
    "not_supported": HTTPStatus.NOT_IMPLEMENTED,
    "unavailable": HTTPStatus.SERVICE_UNAVAILABLE,
    "storage": HTTPStatus.SERVICE_UNAVAILABLE,
}
"""Every code that is not here is our own fault: 500, and the caller learns no more than where to look."""

STORAGE_RETRY_AFTER = timedelta(seconds=30)
"""A person must look at a broken store, which takes longer than an overload."""


class MalformedRequest(BadParameter):
    """A request is wrong as HTTP, before it means anything.

    Args:
        message: what is wrong, without a word of the caller's.
        status: the HTTP status that says so most exactly.
        headers: what this status must carry, as `Allow`.
    """

    def __init__(
        self, message: str, status: HTTPStatus = HTTPStatus.BAD_REQUEST, headers: tuple[tuple[str, str], ...] = ()
    ) -> None:
        super().__init__(message)
        self.status = status
        self.headers = headers


class Answered(Exception):
    """A request is refused, and what is answered is there already: the route's own words for it.

    Args:
        reply: the answer.
    """

    def __init__(self, reply: Reply) -> None:
        super().__init__(reply.status)
        self.reply = reply


@dataclass(frozen=True, slots=True)
class Refusal:
    """What a caller is told of an error, as far as it is the caller's business.

    Args:
        status: the HTTP status.
        code: of the error's class.
        message: for a person.
        headers: what the status must carry.
    """

    status: HTTPStatus
    code: str
    message: str
    headers: tuple[tuple[str, str], ...] = ()


def build_error_reply(error: Exception) -> Reply:
    """Return the body that every refusal has, unless the route has words of its own."""
    if isinstance(error, Answered):
        return error.reply
    refusal = explain_error(error)
    body = orjson.dumps({"error": {"code": refusal.code, "message": refusal.message}})
    return Reply(int(refusal.status), body, headers=refusal.headers)


def explain_error(error: Exception) -> Refusal:
    """Say to a caller what went wrong, as far as that is the caller's business; the rest is logged."""
    if isinstance(error, MalformedRequest):
        return Refusal(error.status, error.code, error.message, error.headers)
    if not isinstance(error, TeleportError) or error.code not in STATUS_BY_CODE:
        return _explain_internal_error(error)
    status = STATUS_BY_CODE[error.code]
    if isinstance(error, LimitExceeded | Unavailable):
        return Refusal(status, error.code, error.message, _retry_after(error.retry_after))
    if error.code == "storage":
        _LOGGER.error("storage: %s", error.message)
        message = "the store cannot be used at present; the log of the server that answered says why"
        return Refusal(status, error.code, message, _retry_after(STORAGE_RETRY_AFTER))
    return Refusal(status, error.code, error.message)


def _explain_internal_error(error: Exception) -> Refusal:
    request_id = secrets.token_hex(8)
    if isinstance(error, TeleportError):
        _LOGGER.error("request %s failed: %s: %s", request_id, error.code, error.message)
    else:
        # A foreign error's text may repeat what the caller sent, which may be a secret: only the place is logged.
        place = "".join(traceback.format_tb(error.__traceback__))
        _LOGGER.error("request %s failed: %s\n%s", request_id, type(error).__name__, place)
    message = f"internal error; the log of the server that answered has more under {request_id}"
    return Refusal(HTTPStatus.INTERNAL_SERVER_ERROR, TeleportError.code, message)


def _retry_after(wait: timedelta) -> tuple[tuple[str, str], ...]:
    return (("Retry-After", str(max(1, math.ceil(wait.total_seconds())))),)
