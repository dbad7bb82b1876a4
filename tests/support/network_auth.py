"""An auth server in this very process, on the network, with hands on its clock and its stores."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from prometheus_client import CollectorRegistry

from support.clock import FakeClock
from support.strangers import Stranger
from teleport.auth.authority import Authority
from teleport.auth.server import AuthServer, open_auth_server
from teleport.auth.stores import Stores
from teleport.config.settings import AuthSettings, ConnectionLimits, Settings, StorageSettings
from teleport.resources.address import Address
from teleport.web.metrics import Metrics
from teleport.web.readiness import Readiness

CLUSTER_NAME = "example.com"
_DEFAULT_LIMITS = ConnectionLimits()


def build_clock() -> FakeClock:
    """Return a clock that stands still at the present, so that TLS, which has its own, agrees with it."""
    return FakeClock(datetime.now(UTC))


@dataclass(frozen=True, slots=True)
class NetworkAuth:
    """A server that runs, and what it stands on."""

    server: AuthServer
    address: Address
    data_dir: Path
    registry: CollectorRegistry

    @property
    def authority(self) -> Authority:
        """Return what signs."""
        return self.server._authority

    @property
    def stores(self) -> Stores:
        """Return all that is kept."""
        return self.server._stores

    def make_stranger(self) -> Stranger:
        """Return somebody with new keys who knows the cluster's CA."""
        return Stranger(self.address, self.authority.host_ca_certificates)


@asynccontextmanager
async def run_auth(
    data_dir: Path, *, clock: FakeClock, storage: str = "memory", limits: ConnectionLimits = _DEFAULT_LIMITS
) -> AsyncIterator[NetworkAuth]:
    """Run a server for the time of a block."""
    settings = Settings(
        nodename="auth",
        data_dir=data_dir,
        connection_limits=limits,
        storage=StorageSettings(type=storage),
        auth=AuthSettings(enabled=True, cluster_name=CLUSTER_NAME, listen_addr=Address("127.0.0.1", 0)),
    )
    registry = CollectorRegistry()
    readiness = Readiness(clock)
    async with open_auth_server(settings, clock=clock, readiness=readiness, metrics=Metrics(registry)) as server:
        yield NetworkAuth(server, server.local_address, data_dir, registry)
