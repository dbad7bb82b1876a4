"""What a part of the proxy answers; the door puts all parts together."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Protocol, TypeVar

from teleport.web.call import Route, Upgrade
from teleport.web.service import Service


class Carrier(Service, Protocol):
    """A service by whose connections requests go on from here."""

    def announce_end(self) -> None:
        """Tell the other ends that this one is about to end, while requests in flight are still carried."""
        ...


AtPath = TypeVar("AtPath", Route, Upgrade)


@dataclass(frozen=True, slots=True)
class Offer:
    """What one part adds to the public port.

    Args:
        routes: of the proxy's own web side.
        upgrades: where a connection becomes a WebSocket's.
        protocols: services by the name that TLS negotiates (ALPN).
        carriers: as `protocols`, of services that carry what HTTP has in flight: they end after it.
        find_host: told the host that a connection's first request names, returns who has the connection, or None.
        services: those that get connections by Host or upgrade alone; they are shut down with the others.
    """

    routes: tuple[Route, ...] = ()
    upgrades: tuple[Upgrade, ...] = ()
    protocols: Mapping[str, Service] = field(default_factory=dict)
    carriers: Mapping[str, Carrier] = field(default_factory=dict)
    find_host: Callable[[str], Service | None] | None = None
    services: tuple[Service, ...] = ()


def with_and_without_version(described: AtPath) -> tuple[AtPath, AtPath]:
    """Return it at its path and below `/v1`, where clients of the original look as well."""
    return described, replace(described, path=f"/v1{described.path}")
