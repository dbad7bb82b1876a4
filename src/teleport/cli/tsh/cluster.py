"""How `tsh` reaches what it needs: a proxy's web side without a certificate, and auth behind it with one."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TypeVar

import click

from teleport.api.client import Client, connect, open_client
from teleport.api.messages import Empty
from teleport.api.trust import KnownAuthority
from teleport.api.way import ThroughProxy
from teleport.api.web import WEB_PING, ProxyPing
from teleport.cli.profile import Profile
from teleport.cli.profile_store import list_candidates
from teleport.cli.tsh.profiles import load_profile
from teleport.cli.tsh.session import Session
from teleport.errors import ConnectionFailed, TeleportError, TrustError, VersionRefused
from teleport.resources.address import Address
from teleport.version import VERSION, explain_version_gap
from teleport.web.tls import ALPN, build_web_client_context

T = TypeVar("T")


class WebAuthority(KnownAuthority):
    """The server's certificate must be for its name, from an authority that this system knows."""

    def __init__(self, context: ssl.SSLContext) -> None:
        super().__init__(context)
        self._web = context

    def request_options(self) -> dict[str, object]:
        """Return the context; the name is the one that is dialled."""
        return {"ssl": self._web}


@asynccontextmanager
async def open_web_client(proxy: Address, *, is_insecure: bool) -> AsyncIterator[Client]:
    """Make a client of a proxy's web side, which has seen no certificate of the caller's.

    Raises:
        TrustError: the proxy's web certificate is not trusted here; the message says what helps.
    """
    trust = WebAuthority(build_web_client_context((ALPN,), is_verified=not is_insecure))
    try:
        async with open_client(proxy, trust) as client:
            yield client
    except TrustError as error:
        raise TrustError(
            f"the web certificate of {proxy} is not trusted here: it must be for that name, and from an authority that "
            "this system knows, or that SSL_CERT_FILE names; --insecure goes on without looking at it"
        ) from error


async def find_proxy(session: Session) -> tuple[Address, ProxyPing]:
    """Return where the named proxy is, and what it says of itself.

    Raises:
        BadParameter: its name is no address.
        TrustError: somebody answers who is not trusted here.
        ConnectionFailed: no proxy answers.
        VersionRefused: its version and this one do not go together.
    """
    failures: list[TeleportError] = []
    for address in list_candidates(session.proxy):
        try:
            async with open_web_client(address, is_insecure=session.insecure) as client:
                found = await client.call(WEB_PING, Empty())
        except TeleportError as error:
            failures.append(error)
        else:
            _check_version(found.server_version, session)
            return address, found
    failure = next((error for error in failures if isinstance(error, TrustError)), None)
    message = "; ".join(error.message for error in failures)
    raise failure or ConnectionFailed(f"no proxy answers at {session.proxy}: {message}")


def _check_version(server: str, session: Session) -> None:
    """Refuse a cluster of which nobody knows what it makes of our requests, unless the user wants it."""
    gap = explain_version_gap(VERSION, server)
    if gap is None:
        return
    if not session.skip_version_check:
        raise VersionRefused(gap)
    click.echo(f"WARNING: the cluster is of version {server!r}, and this tool of {VERSION!r}", err=True)


def ask(session: Session, work: Callable[[Client, Profile], Awaitable[T]]) -> T:
    """Ask auth as the user who is logged in, and return what the work returns.

    Raises:
        NotFound: nobody is logged in.
        AccessDenied: the login has expired.
        TeleportError: the cluster is not the one of the login, does not answer, or refuses.
    """
    profile = load_profile(session)
    profile.check_valid(session.clock.now())

    async def reach() -> T:
        way = ThroughProxy(profile.address, is_insecure=session.insecure)
        version = "" if session.skip_version_check else VERSION
        async with connect(way, profile.identity, version=version) as client:
            return await work(client, profile)

    return asyncio.run(reach())
