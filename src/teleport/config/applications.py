"""Names and addresses of the applications that an agent serves."""

import re
from urllib.parse import urlsplit

from teleport.errors import BadParameter

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SCHEMES = frozenset({"http", "https", "tcp"})
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")


def parse_app_name(text: str) -> str:
    """Read an application's name; it becomes the first label of a DNS name (RFC 1123, section 2.1).

    Raises:
        BadParameter: it cannot be one.
    """
    if not _NAME.fullmatch(text):
        raise BadParameter(
            "not an application's name; it may hold lower-case letters, digits and inner hyphens, up to 63"
        )
    return text


def parse_app_uri(text: str) -> str:
    """Read where an application is, as the agent sees it.

    Raises:
        BadParameter: no http, https or tcp address with a host.
    """
    try:
        parts = urlsplit(text)
        usable = parts.scheme in _SCHEMES and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable or _BLANK.search(text):
        raise BadParameter("not an application's address; expected something like http://localhost:8080")
    return text
