"""The two cookies: whose session it is, and which browser a form was made for."""

import re

from teleport.web.call import RequestHead

SESSION = "__Host-session"
FORM = "__Host-form"
"""Before there is a session, a form belongs to the browser that has this cookie."""
_SECRET = re.compile(r"[A-Za-z0-9_-]{43}")
# The prefix __Host- makes browsers refuse a cookie that another host, or plain HTTP, wants to set (RFC 6265bis, 4.1.3).
# Lax, because applications send people here by a redirect from their own hosts; forms have a check of their own.
_ATTRIBUTES = "Path=/; Secure; HttpOnly; SameSite=Lax"


def read_secret(head: RequestHead, name: str) -> str:
    """Return the value of one of the two, or nothing where it is missing or not one that was set here."""
    value = head.cookies.get(name, "")
    return value if _SECRET.fullmatch(value) else ""


def build_cookie(name: str, secret: str) -> tuple[str, str]:
    """Return the header that sets a cookie until the browser is closed."""
    return "Set-Cookie", f"{name}={secret}; {_ATTRIBUTES}"


def build_removal(name: str) -> tuple[str, str]:
    """Return the header that takes a cookie away."""
    return "Set-Cookie", f"{name}=; Max-Age=0; {_ATTRIBUTES}"
