"""An answer's head as bytes."""

from email.utils import formatdate
from functools import lru_cache
from http import HTTPStatus

from teleport.web.call import Reply


def render_head(reply: Reply, *, keep_alive: bool, now: int) -> bytes:
    """Write the status line and the headers; they name no server.

    Args:
        reply: what is answered.
        keep_alive: whether the connection lives on.
        now: seconds since 1970.
    """
    lines = _render_fixed_part(reply.status, reply.content_type, reply.cache_control, keep_alive)
    length = len(reply.body) if reply.parts is None else reply.length
    extra = "".join([f"{name}: {value}\r\n" for name, value in reply.headers])
    return f"{lines}{_render_date(now)}{extra}Content-Length: {length}\r\n\r\n".encode("ascii")


@lru_cache(maxsize=128)
def _render_fixed_part(
    status: int,
    content_type: str,
    cache_control: str,
    keep_alive: bool,  # noqa: FBT001 - a cache key
) -> str:
    return (
        f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n"
        f"Content-Type: {content_type}\r\n"
        f"Cache-Control: {cache_control}\r\n"
        "X-Content-Type-Options: nosniff\r\n"
    ) + ("" if keep_alive else "Connection: close\r\n")


@lru_cache(maxsize=2)
def _render_date(now: int) -> str:
    return f"Date: {formatdate(now, usegmt=True)}\r\n"
