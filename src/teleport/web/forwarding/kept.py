"""The connections to applications that one client's connection keeps for its next requests."""

from teleport.web.forwarding.destination import Destination
from teleport.web.forwarding.upstream import UpstreamConnection

MAX_KEPT = 4


class KeptConnections:
    """One connection for each way, and few ways: whoever has waited longest is closed first."""

    __slots__ = ("_by_key",)

    def __init__(self) -> None:
        self._by_key: dict[str, UpstreamConnection] = {}

    def keep(self, connection: UpstreamConnection) -> None:
        """Keep a connection that has done its work."""
        older = self._by_key.pop(connection.key, None)
        if older is not None:
            older.close()
        if len(self._by_key) >= MAX_KEPT:
            self._by_key.pop(next(iter(self._by_key))).close()
        self._by_key[connection.key] = connection
        connection.rest()

    def take(self, destination: Destination) -> UpstreamConnection | None:
        """Return a connection to the destination that can be used, if there is one; it is the caller's then."""
        for upstream in destination.upstreams:
            connection = self._by_key.pop(upstream.key, None)
            if connection is not None:
                if connection.is_fresh:
                    return connection
                connection.close()
        return None

    def forget(self, connection: UpstreamConnection) -> None:
        """Note that a connection is gone."""
        if self._by_key.get(connection.key) is connection:
            del self._by_key[connection.key]

    def close(self) -> None:
        """Close all."""
        connections, self._by_key = self._by_key, {}
        for connection in connections.values():
            connection.close()
