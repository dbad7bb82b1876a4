"""From an issuer's name to its keys (OpenID Connect Discovery 1.0, 4).

What the issuer answers cannot lead anywhere else but to another https address, and redirects are not followed. Trusted
are the roots of this machine, or those that SSL_CERT_FILE names.
"""

import asyncio
import ssl
from datetime import timedelta
from http import HTTPStatus
from urllib.parse import urlsplit

from teleport.kube.errors import BadAnswer, NoAnswer
from teleport.kube.outgoing import open_session, parse_object, read_answer, translated
from teleport.lean_aiohttp import aiohttp

MAX_DOCUMENT = 256 * 1024
TIMEOUT = timedelta(seconds=5)
"""For both documents together."""
PATH = "/.well-known/openid-configuration"


async def fetch_key_set(issuer: str, *, allow_http: bool = False) -> str:
    """Return the text of the issuer's key set.

    Args:
        issuer: an address, as it stands in tokens.
        allow_http: also where anybody on the way can change the keys.

    Raises:
        NoAnswer: the issuer does not answer in time, or not as one should.
    """
    schemes = ("https", "http") if allow_http else ("https",)
    _check_address(issuer, issuer, schemes)
    context = ssl.create_default_context()
    try:
        async with asyncio.timeout(TIMEOUT.total_seconds()), open_session(context, TIMEOUT) as session:
            document = await _get(session, issuer.rstrip("/") + PATH)
            key_set = await _get(session, read_jwks_uri(document, issuer, schemes))
    except TimeoutError as error:
        raise NoAnswer(f"the issuer {issuer} does not answer in time") from error
    return key_set.decode("utf-8", errors="replace")


def read_jwks_uri(document: bytes, issuer: str, schemes: tuple[str, ...]) -> str:
    """Return where the keys are.

    Raises:
        BadAnswer: the document is malformed, of another issuer, or names an address of another scheme.
    """
    configuration = parse_object(document, f"the issuer {issuer}")
    if configuration.get("issuer") != issuer:
        raise BadAnswer(f"the discovery document of {issuer} names another issuer")
    jwks_uri = configuration.get("jwks_uri")
    if not isinstance(jwks_uri, str):
        raise BadAnswer(f"the discovery document of {issuer} does not say where its keys are")
    _check_address(jwks_uri, issuer, schemes)
    return jwks_uri


def _check_address(text: str, issuer: str, schemes: tuple[str, ...]) -> None:
    try:
        parts = urlsplit(text)
        fits = parts.scheme in schemes and bool(parts.hostname) and parts.username is None
    except ValueError:
        fits = False
    if not fits:
        raise BadAnswer(f"the issuer {issuer} leads to {text[:128]!r}, which is no {' or '.join(schemes)} address")


async def _get(session: aiohttp.ClientSession, url: str) -> bytes:
    with translated(url):
        async with session.get(url, allow_redirects=False) as response:
            answer = await read_answer(response, MAX_DOCUMENT)
    if answer.status != HTTPStatus.OK:
        raise BadAnswer(f"{url} answered {answer.status}")
    return answer.content
