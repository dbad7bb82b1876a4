"""What the proxy says itself on an application's host: small pages for browsers, JSON for everybody else."""

from html import escape
from http import HTTPStatus

import orjson

from teleport.web.call import JSON, Reply
from teleport.web.forwarding.head import RequestHead

_SECURITY = (
    ("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'; form-action 'none'"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
)
_HTML = "text/html; charset=utf-8"


def wants_page(head: RequestHead) -> bool:
    """Tell whether a browser shows the answer to somebody."""
    return b"text/html" in (head.get(b"accept") or b"")


def is_navigation(head: RequestHead) -> bool:
    """Tell whether a browser goes to a page, and may be sent elsewhere first."""
    return head.method == b"GET" and wants_page(head) and not head.upgrade


def build_redirect(location: str, *cookies: str) -> Reply:
    """Send a browser elsewhere; nothing of the address it comes from is told there."""
    headers = (("Location", location), *(("Set-Cookie", cookie) for cookie in cookies), *_SECURITY)
    return Reply(int(HTTPStatus.FOUND), b"", "text/plain; charset=utf-8", headers=headers)


def build_page(status: HTTPStatus, code: str, message: str, *, as_page: bool, request_id: str = "") -> Reply:
    """Say what is wrong, in one sentence."""
    if not as_page:
        error = {"code": code, "message": message} | ({"request_id": request_id} if request_id else {})
        return Reply(int(status), orjson.dumps({"error": error}), JSON, headers=_SECURITY)
    sentence = escape(message[:1].upper() + message[1:])
    request = f"<p>Request {escape(request_id)}</p>\n" if request_id else ""
    body = (
        "<!doctype html>\n"
        f'<html lang="en"><head><meta charset="utf-8"><title>{int(status)} {status.phrase}</title></head>\n'
        f"<body><h1>{status.phrase}</h1>\n<p>{sentence}.</p>\n{request}</body></html>\n"
    )
    return Reply(int(status), body.encode(), _HTML, headers=_SECURITY)
