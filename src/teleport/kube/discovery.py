"""The keys of another cluster: fetched from its OpenID Connect issuer when they are needed, and kept for a while."""

from teleport.clock import Clock
from teleport.kube.published_keys import PublishedKeys


class OidcKeys(PublishedKeys):
    """The key set of one issuer.

    Args:
        issuer: the address, as it stands in the tokens; it comes from a token resource and never from a stranger.
        clock: for the age of what was fetched.
        allow_http: for tests.
    """

    def __init__(self, issuer: str, *, clock: Clock, allow_http: bool = False) -> None:
        super().__init__(self._discover, clock=clock)
        self._issuer = issuer
        self._allow_http = allow_http

    async def _discover(self) -> str:
        from teleport.kube.openid import fetch_key_set  # noqa: PLC0415 - only who asks an issuer carries aiohttp

        return await fetch_key_set(self._issuer, allow_http=self._allow_http)
