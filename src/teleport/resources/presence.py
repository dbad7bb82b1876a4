"""Presence: what is alive in the cluster. Agents declare it by heartbeats, and it vanishes when they stop.

The host id in a record is always the one from the heartbeating certificate, never one from the request.
"""

from typing import Literal

from pydantic import Field

from teleport.resources.model import Labels, Metadata, Model, Resource, Time
from teleport.resources.role import SystemRole


class ServerSpec(Model):
    """One service of one host, and the thing it serves where there is one."""

    host_id: str = Field(default="", max_length=64)
    hostname: str = Field(default="", max_length=256)
    version: str = Field(default="", max_length=64)
    addr: str = Field(default="", max_length=512)
    """Where the service listens; empty for one that is reached through a tunnel."""
    public_addr: str = Field(default="", max_length=512)
    dynamic_labels: Labels = Field(default_factory=dict)
    """Labels that commands on the host computed."""
    uri: str = Field(default="", max_length=2048)
    """Where the served application or database is, as the agent sees it."""
    protocol: str = Field(default="", max_length=64)


class Server(Resource):
    """A heartbeat record; its name is `<host id>`, or `<host id>/<name>` where a host serves several things."""

    kind: Literal[
        "node",
        "proxy",
        "auth_server",
        "app_server",
        "db_server",
        "kube_server",
        "windows_desktop_service",
        "discovery_service",
    ]
    version: Literal["v2"] = "v2"
    metadata: Metadata
    spec: ServerSpec

    @property
    def all_labels(self) -> Labels:
        """Return static and dynamic labels together, sorted by key."""
        return dict(sorted((self.metadata.labels | self.spec.dynamic_labels).items()))


SERVER_ROLES: dict[str, SystemRole] = {
    "node": SystemRole.NODE,
    "proxy": SystemRole.PROXY,
    "auth_server": SystemRole.AUTH,
    "app_server": SystemRole.APP,
    "db_server": SystemRole.DB,
    "kube_server": SystemRole.KUBE,
    "windows_desktop_service": SystemRole.WINDOWS_DESKTOP,
    "discovery_service": SystemRole.DISCOVERY,
}
"""Which role a certificate must hold to heartbeat a record of a kind."""


class InstanceSpec(Model):
    """One joined process."""

    hostname: str = Field(default="", max_length=256)
    version: str = Field(default="", max_length=64)
    services: tuple[SystemRole, ...] = ()
    last_seen: Time | None = None


class Instance(Resource):
    """The inventory's record of one joined process; its name is the host id."""

    kind: Literal["instance"] = "instance"
    version: Literal["v1"] = "v1"
    metadata: Metadata
    spec: InstanceSpec
