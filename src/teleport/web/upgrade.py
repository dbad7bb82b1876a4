"""The handshake by which an HTTP connection becomes a WebSocket's (RFC 6455, 4.2)."""

import base64
import binascii
import hashlib
from http import HTTPStatus

from teleport.web.call import RequestHead
from teleport.web.errors import MalformedRequest

_VERSION = "13"
_KEY_BYTES = 16
_GUID = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
"""RFC 6455, 1.3."""


def check_websocket(head: RequestHead) -> str:
    """Return the key of a sound handshake.

    Raises:
        MalformedRequest: it is another request, has a body, or speaks another version; the status says which.
    """
    fields = head.fields
    if head.method != "GET":
        raise MalformedRequest("this path takes GET only", HTTPStatus.METHOD_NOT_ALLOWED, (("Allow", "GET"),))
    if "websocket" not in _list_tokens(head, "upgrade") or "upgrade" not in _list_tokens(head, "connection"):
        headers = (("Upgrade", "websocket"),)
        raise MalformedRequest("this path is a WebSocket's", HTTPStatus.UPGRADE_REQUIRED, headers)
    if head.content_length or "transfer-encoding" in fields:
        raise MalformedRequest("a WebSocket's handshake has no body")
    if fields.get("sec-websocket-version") != _VERSION:
        headers = (("Sec-WebSocket-Version", _VERSION),)
        raise MalformedRequest("WebSockets of version 13 are spoken here", HTTPStatus.UPGRADE_REQUIRED, headers)
    key = fields.get("sec-websocket-key", "")
    if not _is_key(key):
        raise MalformedRequest("the WebSocket's key is malformed")
    return key


def render_switch(key: str) -> bytes:
    """Write the answer that ends HTTP on a connection."""
    digest = hashlib.sha1((key + _GUID).encode("ascii"), usedforsecurity=False).digest()
    return (
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
        f"Sec-WebSocket-Accept: {base64.b64encode(digest).decode('ascii')}\r\n\r\n"
    ).encode("ascii")


def _list_tokens(head: RequestHead, name: str) -> list[str]:
    return [token.strip().lower() for token in head.fields.get(name, "").split(",")]


def _is_key(text: str) -> bool:
    try:
        return len(base64.b64decode(text, validate=True)) == _KEY_BYTES
    except (binascii.Error, ValueError):
        return False
