"""An agent's state as the data of a Secret: an item for the host, one for each identity, one for keys yet uncertified.

The items are named as in the original's store, with dots for slashes, since keys of a Secret hold none.
"""

from collections.abc import Mapping
from typing import TypeVar

from pydantic import BaseModel, ValidationError

from teleport.agent.memory import AgentState
from teleport.api.joined import Joined, Keys
from teleport.api.messages import Certificates, TrustBundle
from teleport.errors import BadParameter
from teleport.resources.model import Model, explain_validation
from teleport.resources.role import SystemRole

MAX_BYTES = 1024 * 1024
"""Of all values together: more no API server stores."""


def _name_item(path: str) -> str:
    return path.replace("/", ".")


HOST = _name_item("states/instance/state")
PENDING = _name_item("ids/instance/pending")
IDENTITIES = {_name_item(f"ids/{role.lower()}/current"): role for role in SystemRole}

_ModelT = TypeVar("_ModelT", bound=BaseModel)


class _Host(Model):
    """What the process is, whatever its roles."""

    host_id: str
    trust: TrustBundle


class _Identity(Model):
    """What the process is in one role."""

    keys: Keys
    certificates: Certificates


def build_items(state: AgentState) -> dict[str, bytes]:
    """Return the data of the Secret."""
    items: dict[str, Model] = {}
    if state.pending_keys is not None:
        items[PENDING] = state.pending_keys
    if (joined := state.joined) is not None:
        items[HOST] = _Host(host_id=joined.host_id, trust=joined.trust)
        for name, role in IDENTITIES.items():
            if role in joined.certificates:
                items[name] = _Identity(keys=joined.keys[role], certificates=joined.certificates[role])
    return {name: item.model_dump_json().encode() for name, item in items.items()}


def parse_items(data: Mapping[str, bytes]) -> AgentState:
    """Read the data of the Secret.

    Raises:
        BadParameter: it is not what `build_items` returns; no value is quoted, since most are secret.
    """
    if sum(map(len, data.values())) > MAX_BYTES:
        raise BadParameter(f"its items are larger than {MAX_BYTES} bytes")
    for name in data:
        if name not in (HOST, PENDING) and name not in IDENTITIES:
            raise BadParameter(f"{name[:64]!r} is no item of an agent's state")
    pending = _parse_item(Keys, PENDING, data[PENDING]) if PENDING in data else None
    return AgentState(pending_keys=pending, joined=_parse_joined(data))


def _parse_joined(data: Mapping[str, bytes]) -> Joined | None:
    identities = {role: _parse_identity(name, role, data[name]) for name, role in IDENTITIES.items() if name in data}
    if HOST not in data:
        if identities:
            raise BadParameter(f"there are identities, and the item {HOST!r} is missing")
        return None
    host = _parse_item(_Host, HOST, data[HOST])
    return Joined(
        host_id=host.host_id,
        trust=host.trust,
        keys={role: identity.keys for role, identity in identities.items()},
        certificates={role: identity.certificates for role, identity in identities.items()},
    )


def _parse_identity(name: str, role: SystemRole, raw: bytes) -> _Identity:
    identity = _parse_item(_Identity, name, raw)
    if identity.certificates.role is not role:
        raise BadParameter(f"item {name!r} is of another role")
    return identity


def _parse_item(model: type[_ModelT], name: str, raw: bytes) -> _ModelT:
    try:
        return model.model_validate_json(raw)
    except ValidationError as error:
        raise BadParameter(f"item {name!r}: {explain_validation(error)}") from error
