"""What the API server says of a sound ServiceAccount token whose ServiceAccount and pod are there. Pure."""

from collections.abc import Mapping
from typing import Any

from teleport.join.kubernetes.claims import find_common_audiences
from teleport.kube.token_review import (
    CREDENTIAL_ID,
    GROUP,
    NODE_NAME,
    POD_NAME,
    POD_UID,
    USERNAME_PREFIX,
    ReviewStatus,
)
from teleport.pki.jwt import read_text

_FIELDS = (("pod", "name", POD_NAME), ("pod", "uid", POD_UID), ("node", "name", NODE_NAME))


def foretell_review(claims: Mapping[str, Any], audiences: tuple[str, ...], asked: tuple[str, ...]) -> ReviewStatus:
    """Return the answer to a TokenReview.

    Args:
        claims: the token's.
        audiences: whom the token is for.
        asked: whom the review asks about.

    Raises:
        JoinRefused: the API server would refuse, since the token is for nobody who is asked about.
        JwtError: the subject is no text.
    """
    common = find_common_audiences(audiences, asked)
    username = read_text(claims, "sub")
    namespace = username.removeprefix(USERNAME_PREFIX).partition(":")[0]
    return ReviewStatus(
        authenticated=True,
        username=username,
        groups=(GROUP, f"{GROUP}:{namespace}"),
        extra=_foretell_extra(claims.get("kubernetes.io")),
        audiences=common,
    )


def _foretell_extra(bound: object) -> dict[str, tuple[str, ...]]:
    """Return the fields that tell what the token is bound to; a token that comes from a Secret has none at all."""
    if not isinstance(bound, dict):
        return {}
    blocks = {kind: block for kind, block in bound.items() if isinstance(block, dict)}
    values = {field: blocks.get(kind, {}).get(name) for kind, name, field in _FIELDS}
    known = {field: (value,) for field, value in values.items() if isinstance(value, str)}
    return {CREDENTIAL_ID: ("",), **known}
