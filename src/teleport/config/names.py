"""Names and addresses as a configuration gives them."""

import re

from teleport.config.settings import AUTH_PORT, PROXY_WEB_PORT
from teleport.errors import BadParameter
from teleport.resources.address import Address, parse_address

MAX_NODENAME = 255
MAX_ADDRESS = 300
DIAG_PORT = 3000

_NODENAME = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?")


def parse_nodename(text: str) -> str:
    """Read a host's name, which goes into certificates and lists.

    Raises:
        BadParameter: it is longer than a DNS name, or holds something else than letters, digits, dots and hyphens.
    """
    if len(text) > MAX_NODENAME or not _NODENAME.fullmatch(text):
        raise BadParameter("not a host name; it may hold letters, digits, dots and hyphens")
    return text


def parse_auth_address(text: str) -> Address:
    """Read the address of an auth server.

    Raises:
        BadParameter: it is no address.
    """
    return _parse(text, AUTH_PORT)


def parse_proxy_address(text: str) -> Address:
    """Read the web address of a proxy.

    Raises:
        BadParameter: it is no address.
    """
    return _parse(text, PROXY_WEB_PORT)


def parse_diag_address(text: str) -> Address:
    """Read where diagnostics are served.

    Raises:
        BadParameter: it is no address.
    """
    return _parse(text, DIAG_PORT)


def parse_address_or_host(text: str) -> str:
    """Check a host, or a host and a port, and return it as it was written.

    Raises:
        BadParameter: it is neither.
    """
    _parse(text, 0)
    return text.strip()


def _parse(text: str, default_port: int) -> Address:
    if not text.strip():
        raise BadParameter("an address is empty")
    if len(text) > MAX_ADDRESS:
        raise BadParameter(f"an address is longer than {MAX_ADDRESS} characters")
    return parse_address(text, default_port)
