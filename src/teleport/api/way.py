"""How auth is reached: at its own address, or through a proxy."""

from dataclasses import dataclass

from teleport.resources.address import Address

PROXY_PORTS = (443, 3080)
"""An auth server's address with one of these ports looks like a proxy's, and is tried as one first."""


@dataclass(frozen=True, slots=True)
class ThroughProxy:
    """The public address of proxies, which pass on to auth what they cannot read.

    Args:
        proxy: a proxy's address, or that of a load balancer before several.
        is_insecure: the proxy's web certificate is not looked at.
        may_be_auth: the address may be auth's own as well.
    """

    proxy: Address
    is_insecure: bool = False
    may_be_auth: bool = False

    def __str__(self) -> str:
        """Write it as people type it."""
        return str(self.proxy)


Way = Address | ThroughProxy


def choose_way(auth_server: Address | None, proxy_server: Address | None, *, is_insecure: bool = False) -> Way | None:
    """Return the way that is configured, or None if nothing is.

    Args:
        auth_server: where auth is said to be.
        proxy_server: where proxies are said to be; counts more.
        is_insecure: a proxy's web certificate is not looked at.
    """
    if proxy_server is not None:
        return ThroughProxy(proxy_server, is_insecure=is_insecure)
    if auth_server is not None and auth_server.port in PROXY_PORTS:
        return ThroughProxy(auth_server, is_insecure=is_insecure, may_be_auth=True)
    return auth_server
