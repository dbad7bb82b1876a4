"""The agent's side of a join: whom it trusts, what it shows, and what it tells its operator when it is refused."""

import logging
from pathlib import Path
from typing import Protocol

from teleport.api.client import Client, build_identity_context, open_client
from teleport.api.identity import Identity
from teleport.api.joined import Keys
from teleport.api.messages import Empty, JoinRequest, JoinResponse, TrustResponse
from teleport.api.operations import JOIN, TRUST
from teleport.api.trust import KnownAuthority, PinnedConnection, ServerTrust
from teleport.api.way import ThroughProxy, Way
from teleport.clock import Clock
from teleport.config.settings import JoinParams, Settings
from teleport.errors import BadParameter, ConnectionFailed, JoinRefused, TeleportError, TrustError, VersionRefused
from teleport.join.method import JoinMethod
from teleport.resources.role import SystemRole
from teleport.version import VERSION, explain_version_gap, parse_major
from teleport.web.tls import build_client_context

CA_FILE = "ca.cert"
MAX_CA_FILE_BYTES = 256 * 1024

logger = logging.getLogger(__name__)


class Joiner(Protocol):
    """A way to become part of the cluster."""

    async def join(self, keys: Keys, known: Identity | None) -> JoinResponse:
        """Join once.

        Args:
            keys: what shall be certified.
            known: the identity of a process that has joined before, and keeps its host id.
        """
        ...


class NetworkJoiner:
    """Joins at an auth server, or through a proxy, with what the configuration says.

    Args:
        settings: of the process.
        way: how auth is reached.
        params: which token, and by which method.
        method: makes the proof, anew for each attempt, and knows what to look at after a refusal.
        clock: the present.
    """

    def __init__(self, *, settings: Settings, way: Way, params: JoinParams, method: JoinMethod, clock: Clock) -> None:
        self._settings = settings
        self._way = way
        self._params = params
        self._method = method
        self._clock = clock

    async def join(self, keys: Keys, known: Identity | None) -> JoinResponse:
        """Join once; nothing secret is sent before the server is known to be the right one.

        Raises:
            TrustError: the server is not the one that is meant, or nothing says which one that is.
            VersionRefused: the server is too old or too new for this agent.
            JoinRefused: auth does not admit this process.
            ConnectionFailed, Unavailable, LimitExceeded: trying again may help.
        """
        trust = _trust_of(known) if known is not None else choose_trust(self._settings, self._way)
        async with open_client(self._way, trust, version=choose_version(self._settings)) as client:
            return await self._join(client, trust, keys)

    async def _join(self, client: Client, trust: ServerTrust, keys: Keys) -> JoinResponse:
        server = await client.call(TRUST, Empty())
        if isinstance(trust, PinnedConnection):
            trust.verify(server.host_ca_certificates, cluster_name=server.cluster_name, clock=self._clock)
        self._check_version(server)
        request = JoinRequest(
            token_name=self._params.token_name,
            join_method=self._params.method,
            role=SystemRole.INSTANCE,
            node_name=self._settings.nodename,
            keys=keys.build_public_keys(self._settings.nodename),
            proof=self._method.prove(),
            client_version=choose_version(self._settings),
        )
        try:
            return await client.call(JOIN, request)
        except JoinRefused as refusal:
            hint = self._method.explain(server.cluster_name)
            raise JoinRefused(refusal.reason, hint, public=refusal.message) from refusal

    def _check_version(self, server: TrustResponse) -> None:
        if parse_major(server.server_version) is None:
            raise ConnectionFailed(
                f"the server says that it is of version {server.server_version[:32]!r}, which is none"
            )
        gap = explain_version_gap(VERSION, server.server_version)
        if gap is None:
            return
        if not self._settings.skip_version_check:
            raise VersionRefused(gap)
        logger.warning("joining nevertheless: %s", gap)


def choose_version(settings: Settings) -> str:
    """Return the version that auth is told, to hold it against its own; empty where it shall not."""
    return "" if settings.skip_version_check else VERSION


def _trust_of(known: Identity) -> ServerTrust:
    return KnownAuthority(build_identity_context(known))


def choose_trust(settings: Settings, way: Way) -> ServerTrust:
    """Return how auth is recognised at the first contact: by pins, by a CA file, or by the proxy that leads there.

    A proxy that proved by its web certificate that it is the one that was named is believed where nothing else is
    given, as in the original: whoever can speak in its name could then pretend to be auth.

    Args:
        settings: of the process.
        way: how auth is reached.

    Raises:
        TrustError: nothing says which server is the right one.
    """
    if settings.ca_pins:
        return PinnedConnection(settings.ca_pins)
    if settings.insecure_skip_ca_pin:
        return PinnedConnection(())
    ca_file = settings.data_dir / CA_FILE
    certificates = _read_ca_file(ca_file)
    if certificates is not None:
        return KnownAuthority(build_client_context(ca_pems=[certificates]))
    if isinstance(way, ThroughProxy) and not way.may_be_auth:
        if way.is_insecure:
            logger.warning(
                "INSECURE: neither proxy %s nor auth behind it is verified, and whoever answers gets the join token: "
                "set teleport.ca_pin (or --ca-pin), or leave out --insecure",
                way,
            )
        return PinnedConnection(())
    raise TrustError(
        "nothing says which auth server is the right one, so the token is not sent: set teleport.ca_pin (or --ca-pin) "
        f"to what `tctl status` shows, or put the CA certificate into {ca_file}"
    )


def _read_ca_file(path: Path) -> str | None:
    try:
        with path.open("rb") as file:
            certificates = file.read(MAX_CA_FILE_BYTES).decode("ascii")
    except FileNotFoundError:
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise BadParameter(f"cannot read CA certificates from {path}") from error
    if not certificates.strip():
        raise BadParameter(f"{path} holds no CA certificate")
    return certificates


def explain_failure(error: TeleportError) -> str:
    """Say what an operator of this agent can do about a join that failed."""
    if isinstance(error, JoinRefused):
        return (
            f"auth refused the join: {error.message}. What to do: {error.detail}. The reason stands in the audit log "
            "of the auth server, and `tctl tokens uses` shows it"
        )
    return error.message
