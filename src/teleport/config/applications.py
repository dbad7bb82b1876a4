"""Names and addresses of the applications that an agent serves, and what is changed in their requests."""

import re
from urllib.parse import urlsplit

from teleport.errors import BadParameter

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_SCHEMES = frozenset({"http", "https", "tcp"})
_BLANK = re.compile(r"[\s\x00-\x1f\x7f]")
_HEADER_NAME = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}")
_HEADER_VALUE = re.compile(r"[\t\x20-\x7e]*")
_REDIRECT_HOST = re.compile(r"([a-z0-9._-]{1,253}|\[[0-9a-f:.]+\])(:[0-9]{1,5})?")
_TEMPLATE = re.compile(r"\{\{(.*?)\}\}")
_KNOWN_TEMPLATE = re.compile(r"\s*(internal\.jwt|external\.[A-Za-z0-9_.-]{1,128}|external\[\"[^\"\\{}]{1,128}\"\])\s*")
_RESERVED_HEADERS = frozenset(
    {
        "connection",
        "content-length",
        "forwarded",
        "keep-alive",
        "proxy-authorization",
        "proxy-connection",
        "te",
        "trailer",
        "transfer-encoding",
        "upgrade",
        "x-real-ip",
    }
)
_RESERVED_PREFIXES = ("teleport-", "x-teleport-", "x-forwarded-")
JWT_CLAIMS = ("roles-and-traits", "roles", "traits", "none")
INTERNAL_JWT = "internal.jwt"


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


def parse_redirect_host(text: str) -> str:
    """Read a host that an application may name where it redirects, with its port or without.

    Raises:
        BadParameter: it is none.
    """
    host = text.strip().lower()
    if not _REDIRECT_HOST.fullmatch(host):
        raise BadParameter("not a host; expected something like app.internal or app.internal:8080")
    return host


def parse_jwt_claims(text: str) -> str:
    """Read what an application is told of its users.

    Raises:
        BadParameter: no such choice.
    """
    if text not in JWT_CLAIMS:
        raise BadParameter(f"unknown choice; the choices are {', '.join(JWT_CLAIMS)}")
    return text


def parse_header(text: str) -> tuple[str, str]:
    """Read a header that every request gets, as `Name: value`.

    Raises:
        BadParameter: it is none, it is one that forwarding itself decides on, or a template is not known.
    """
    name, colon, value = text.partition(":")
    value = value.strip()
    if not colon or not _HEADER_NAME.fullmatch(name) or not _HEADER_VALUE.fullmatch(value):
        raise BadParameter("not a header; expected something like `X-Team: blue`")
    if name.lower() in _RESERVED_HEADERS or name.lower().startswith(_RESERVED_PREFIXES):
        raise BadParameter(f"header {name} cannot be set: the proxy and the agent decide on it")
    if "{{" in _TEMPLATE.sub("", value):
        raise BadParameter("a template is not closed; expected something like {{external.email}}")
    split_templates(value)
    return name, value


def split_templates(value: str) -> tuple[tuple[str, str], ...]:
    """Return a value as pairs of plain text and the template that follows it: `internal.jwt`, `external.TRAIT`.

    Raises:
        BadParameter: a template is not known; the message names it.
    """
    parts = []
    begin = 0
    for match in _TEMPLATE.finditer(value):
        known = _KNOWN_TEMPLATE.fullmatch(match[1])
        if known is None:
            raise BadParameter(
                f"unknown template {match[0][:64]}; the templates are {{{{internal.jwt}}}} and {{{{external.TRAIT}}}}"
            )
        parts.append((value[begin : match.start()], known[1].replace('["', ".").replace('"]', "")))
        begin = match.end()
    return (*parts, (value[begin:], ""))
