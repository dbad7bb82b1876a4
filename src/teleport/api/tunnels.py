"""What agents and proxies say to each other about their tunnels, in the one stream of each that is nobody else's.

An agent dials a proxy and agrees with it on `teleport-tunnel/1` (ALPN), or asks for a WebSocket where something else
ends TLS before the proxy; either way both show the certificates that the cluster gave them. Then the agent opens the
control stream, and the proxy writes messages on it, each a line of JSON: first and again and again which proxies there
are, and in the end a goodbye. The agent writes nothing but the preface.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

import orjson

from teleport.errors import BadParameter
from teleport.tunnel.errors import ProtocolViolation

TUNNEL_ALPN = "teleport-tunnel/1"
"""From an agent to a proxy: a multiplexer's session."""
CONNECT_TUNNEL_PATH = "/webapi/connect/tunnel"
"""Where a proxy has a WebSocket whose bytes are TLS with such a session inside; also below `/v1`."""
CONTROL = "control"
"""What the control stream's preface says that it is for."""
MAX_PROXIES = 1000
MAX_LINE = 64 * 1024

_MAX_ID = 64
_PROCESS_DIGITS = 32


class GoodbyeReason(StrEnum):
    """Why a proxy ends a tunnel."""

    DRAIN = "drain"
    """The proxy is about to end; what is in flight goes on."""
    REPLACED = "replaced"
    """The same service of the same host has another tunnel to this proxy now."""


@dataclass(frozen=True, slots=True)
class Proxies:
    """The host ids of all proxies that auth knows."""

    host_ids: frozenset[str]


@dataclass(frozen=True, slots=True)
class Goodbye:
    """No stream will be opened any more, soon or at once."""

    reason: GoodbyeReason


Message = Proxies | Goodbye


def build_control_preface(process: str) -> dict[str, str]:
    """Return how the control stream begins.

    Args:
        process: 32 hexadecimal digits that the process has chosen by chance, by which two of them are told apart that
            have one identity.
    """
    return {"to": CONTROL, "process": process}


def parse_control_preface(document: Mapping[str, Any]) -> str:
    """Return which process has opened the stream.

    Raises:
        BadParameter: it is no control stream.
    """
    process = document.get("process")
    if document.get("to") != CONTROL or not isinstance(process, str) or len(process) != _PROCESS_DIGITS:
        raise BadParameter("expected the control stream, which is the only one that an agent opens")
    return process


def render_proxies(host_ids: Collection[str]) -> bytes:
    """Write which proxies there are; beyond a thousand some are left out."""
    return orjson.dumps({"proxies": sorted(host_ids)[:MAX_PROXIES]}) + b"\n"


def render_goodbye(reason: GoodbyeReason) -> bytes:
    """Write a goodbye."""
    return orjson.dumps({"goodbye": reason}) + b"\n"


class MessageReader:
    """Reads messages from whatever pieces come."""

    def __init__(self) -> None:
        self._rest = b""

    def feed(self, data: bytes) -> list[Message]:
        """Return the messages that are complete now; those of later versions are left out.

        Raises:
            ProtocolViolation: what comes is no message, or too long for one.
        """
        *lines, self._rest = (self._rest + data).split(b"\n")
        if any(len(line) > MAX_LINE for line in (*lines, self._rest)):
            raise ProtocolViolation(f"a control message has more than {MAX_LINE} bytes")
        return [message for line in lines if (message := _parse(line)) is not None]


def _parse(line: bytes) -> Message | None:
    try:
        document = orjson.loads(line)
    except orjson.JSONDecodeError as error:
        raise ProtocolViolation("a control message is not JSON") from error
    match document:
        case {"proxies": list(host_ids)} if len(host_ids) <= MAX_PROXIES and all(map(_is_id, host_ids)):
            return Proxies(frozenset(host_ids))
        case {"proxies": _}:
            raise ProtocolViolation("a control message names proxies that are none")
        case {"goodbye": reason} if reason in list(GoodbyeReason):
            return Goodbye(GoodbyeReason(reason))
        case dict():
            return None
    raise ProtocolViolation("a control message is not a JSON object")


def _is_id(value: object) -> bool:
    return isinstance(value, str) and 0 < len(value) <= _MAX_ID
