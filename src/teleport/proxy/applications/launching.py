"""From the proxy's host to an application's: redirects and cookies by which a browser gets a session there; pure.

The application's host gives the browser a random state first. The proxy's host, where the user is signed in, gives a
code that auth takes once, and only together with that state: whoever sends somebody else a link with a code of their
own makes nobody use an application as them.
"""

import re
import secrets
from collections.abc import Mapping
from datetime import datetime
from urllib.parse import quote, urlencode

from teleport.pki.base64url import encode_base64url

LAUNCH_PATH = "/web/launch/"
AUTH_PATH = "/x-teleport-auth"
SESSION_COOKIE = "__Host-app_session"
STATE_COOKIE = "__Host-app_state"
STATE_SECONDS = 300
MAX_PATH = 2048
NO_LEAKS = (("Referrer-Policy", "no-referrer"), ("X-Content-Type-Options", "nosniff"))

_STATE = re.compile(r"[A-Za-z0-9_-]{43}")
_PATH = re.compile(r"/(?![/\\])[\x21-\x7e]*")


def check_path(path: str) -> str:
    """Return a path within one host, or the root: what is read from a query leads nowhere else."""
    return path if len(path) <= MAX_PATH and _PATH.fullmatch(path) and "\\" not in path else "/"


def is_state(text: str) -> bool:
    """Tell whether a text may be a state that was made here."""
    return _STATE.fullmatch(text) is not None


def make_state() -> str:
    """Return a new state: 256 random bits."""
    return encode_base64url(secrets.token_bytes(32))


def build_launch_location(proxy_origin: str, host: str, *, path: str, state: str) -> str:
    """Return where the proxy begins, for a browser that has no session on an application's host."""
    return f"{proxy_origin}{LAUNCH_PATH}{quote(host)}?{urlencode({'path': check_path(path), 'state': state})}"


def build_auth_location(app_origin: str, *, code: str, state: str, path: str) -> str:
    """Return where an application's host takes a code."""
    return f"{app_origin}{AUTH_PATH}?{urlencode({'code': code, 'state': state, 'path': check_path(path)})}"


def render_session_cookie(session_id: str, expires: datetime, now: datetime) -> str:
    """Return the cookie that is an application session."""
    seconds = max(0, int((expires - now).total_seconds()))
    return f"{SESSION_COOKIE}={session_id}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}"


def render_state_cookie(state: str) -> str:
    """Return the cookie that binds a launch to this browser; without a state, the one that ends it."""
    seconds = STATE_SECONDS if state else 0
    return f"{STATE_COOKIE}={state}; Path=/; Secure; HttpOnly; SameSite=Lax; Max-Age={seconds}"


def read_launch(query: Mapping[str, str]) -> tuple[str, str]:
    """Return the path and the state of a launch; a state that was not made here is none."""
    state = query.get("state", "")
    return check_path(query.get("path", "/")), state if is_state(state) else ""
