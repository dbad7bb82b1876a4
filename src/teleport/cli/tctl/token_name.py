"""From what a person typed for a token to the token's name."""

from teleport.cli.tctl.cluster import ApiClient, list_tokens
from teleport.errors import BadParameter, NotFound

MASK = "*"


async def find_token_name(client: ApiClient, typed: str) -> str:
    """Return the name of the token that was typed in full, or as lists show it.

    Raises:
        NotFound: no token looks like this.
        BadParameter: several do.
    """
    if MASK not in typed:
        return typed
    tokens = await list_tokens(client, with_secrets=True)
    if any(token.name == typed for token in tokens):
        return typed
    names = [token.name for token in tokens if token.safe_name == typed]
    if not names:
        raise NotFound(f"no token looks like {typed}")
    if len(names) > 1:
        raise BadParameter(f"{len(names)} tokens look like {typed}; type the whole token")
    return names[0]
