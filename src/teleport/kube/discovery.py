"""The keys that another cluster publishes as an OpenID Connect issuer (OpenID Connect Discovery 1.0).

Only an address that stands in a token resource is ever asked, and what it answers cannot lead anywhere else but to
another https address; redirects are not followed.
"""

import asyncio
import json
import ssl
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from teleport.clock import Clock
from teleport.errors import Unavailable

if TYPE_CHECKING:
    from teleport.lean_aiohttp import aiohttp

MAX_DOCUMENT = 256 * 1024
TIMEOUT = timedelta(seconds=5)
LIFE = timedelta(minutes=10)
STALE_LIFE = timedelta(hours=1)
"""While the issuer does not answer, its last keys stay good for so long."""
REFRESH_PAUSE = timedelta(minutes=1)
"""An unknown key leads to one look at the issuer in this time, however many tokens claim one."""


@dataclass(slots=True)
class _Known:
    text: str
    fetched_at: float


class OidcKeys:
    """The key set of one issuer, fetched when it is needed and kept for a while.

    Args:
        issuer: the address, as it stands in the tokens.
        clock: for the age of what was fetched.
        allow_http: for tests.
    """

    def __init__(self, issuer: str, *, clock: Clock, allow_http: bool = False) -> None:
        self._issuer = issuer
        self._clock = clock
        self._schemes = {"https", "http"} if allow_http else {"https"}
        self._known: _Known | None = None
        self._turn = asyncio.Lock()

    async def load(self) -> str:
        """Return the key set.

        Raises:
            Unavailable: the issuer does not answer, and what is known of it is too old.
        """
        return await self._load_younger_than(LIFE)

    async def refresh(self) -> str:
        """Return the key set fetched anew, unless that was done a moment ago.

        Raises:
            Unavailable: as `load`.
        """
        return await self._load_younger_than(REFRESH_PAUSE)

    async def _load_younger_than(self, life: timedelta) -> str:
        async with self._turn:
            if self._known is not None and self._age(self._known) <= life.total_seconds():
                return self._known.text
            try:
                text = await self._fetch()
            except Unavailable:
                if self._known is None or self._age(self._known) > STALE_LIFE.total_seconds():
                    raise
                return self._known.text
            self._known = _Known(text, self._clock.monotonic())
            return text

    def _age(self, known: _Known) -> float:
        return self._clock.monotonic() - known.fetched_at

    async def _fetch(self) -> str:
        from teleport.lean_aiohttp import aiohttp  # noqa: PLC0415 - only who asks an issuer carries it

        timeout = aiohttp.ClientTimeout(total=TIMEOUT.total_seconds())
        connector = aiohttp.TCPConnector(ssl=ssl.create_default_context())
        async with aiohttp.ClientSession(connector=connector, timeout=timeout, auto_decompress=False) as session:
            document = await self._get(session, f"{self._issuer.rstrip('/')}/.well-known/openid-configuration")
            return await self._get(session, self._read_jwks_uri(document))

    def _read_jwks_uri(self, document: str) -> str:
        try:
            configuration = json.loads(document)
            issuer, jwks_uri = configuration["issuer"], configuration["jwks_uri"]
        except (ValueError, KeyError, TypeError, RecursionError) as error:
            raise Unavailable(f"the discovery document of {self._issuer} is malformed") from error
        if issuer != self._issuer:
            raise Unavailable(f"the discovery document of {self._issuer} names another issuer")
        if not isinstance(jwks_uri, str) or urlsplit(jwks_uri).scheme not in self._schemes:
            raise Unavailable(f"the discovery document of {self._issuer} names no https address for its keys")
        return jwks_uri

    async def _get(self, session: "aiohttp.ClientSession", url: str) -> str:
        from teleport.lean_aiohttp import aiohttp  # noqa: PLC0415 - only who asks an issuer carries it

        try:
            async with session.get(url, allow_redirects=False) as response:
                if response.status != 200:  # noqa: PLR2004 - HTTP: nothing else is an answer
                    raise Unavailable(f"{url} answered {response.status}")
                content = await response.content.read(MAX_DOCUMENT + 1)
                while len(content) <= MAX_DOCUMENT and not response.content.at_eof():
                    content += await response.content.read(MAX_DOCUMENT + 1 - len(content))
        except (aiohttp.ClientError, OSError, ValueError) as error:
            reason = "no answer in time" if isinstance(error, TimeoutError) else type(error).__name__
            raise Unavailable(f"cannot fetch {url}: {reason}") from error
        if len(content) > MAX_DOCUMENT:
            raise Unavailable(f"{url} answered more than {MAX_DOCUMENT} bytes")
        return content.decode("utf-8", errors="replace")
