"""How an agent joins: at an auth server over the network, or at the one in its own process."""

from typing import TYPE_CHECKING

from teleport.agent.joining import Joiner, NetworkJoiner
from teleport.api.identity import Identity
from teleport.api.joined import Keys
from teleport.api.messages import JoinResponse
from teleport.api.way import Way
from teleport.clock import Clock
from teleport.config.settings import Settings
from teleport.join.catalog import find_method

if TYPE_CHECKING:
    from teleport.auth.server import AuthServer


class LocalJoiner:
    """Joins at the auth server in the same process; no token is needed for that.

    Args:
        auth: the server.
        settings: of the process.
    """

    def __init__(self, auth: "AuthServer", settings: Settings) -> None:
        self._auth = auth
        self._settings = settings

    async def join(self, keys: Keys, known: Identity | None) -> JoinResponse:  # noqa: ARG002 - the host is always this one
        """Join once."""
        name = self._settings.nodename
        roles = [service.role for service in self._settings.services]
        return self._auth.admit_local(keys.build_public_keys(name), node_name=name, roles=roles)


def build_joiner(settings: Settings, auth: "AuthServer | None", way: Way, clock: Clock) -> Joiner | None:
    """Return how this process joins, or None if it was given nothing to join with.

    Raises:
        NotSupported: the join method is not implemented.
    """
    if auth is not None:
        return LocalJoiner(auth, settings)
    if settings.join_params is None:
        return None
    return NetworkJoiner(
        settings=settings,
        way=way,
        params=settings.join_params,
        method=find_method(settings.join_params.method),
        clock=clock,
    )
