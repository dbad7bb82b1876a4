"""Those who want to join and talk to the API themselves, without an agent around them."""

from collections.abc import Callable, Sequence
from typing import Any

from teleport.api.client import Client, build_identity_context, open_client
from teleport.api.identity import Identity
from teleport.api.joined import Keys, build_joined, generate_keys
from teleport.api.messages import JoinRequest, JoinResponse
from teleport.api.operations import JOIN
from teleport.api.trust import KnownAuthority
from teleport.resources.address import Address
from teleport.web.tls import build_client_context

HOST_NAME = "stranger"


def build_request(keys: Keys, token: str, **fields: Any) -> JoinRequest:
    """Return a request to join with a token; without further fields it is for an Instance certificate."""
    values = {"token_name": token, "node_name": HOST_NAME, "keys": keys.build_public_keys(HOST_NAME), **fields}
    return JoinRequest(**values)


class Stranger:
    """A host, or a bot, with keys of its own.

    Args:
        address: of the auth server.
        authorities: its host CA certificates, so that no pin is needed.
    """

    def __init__(self, address: Address, authorities: Sequence[str]) -> None:
        self.keys = generate_keys()
        self._address = address
        self._authorities = tuple(authorities)

    async def join(self, token: str, *, known: Identity | None = None, **fields: Any) -> JoinResponse:
        """Join once over a connection of its own; a known host shows who it is."""
        context = build_client_context(ca_pems=self._authorities) if known is None else build_identity_context(known)
        async with open_client(self._address, KnownAuthority(context)) as client:
            return await self.join_over(client, token, **fields)

    async def join_over(self, client: Client, token: str, **fields: Any) -> JoinResponse:
        """Join once over a connection that is there already."""
        return await client.call(JOIN, build_request(self.keys, token, **fields))

    def identity(self, response: JoinResponse) -> Identity:
        """Return who it is after it was admitted."""
        return build_joined(self.keys, response).identity(response.certificates.role)


StrangerFactory = Callable[[], Stranger]
