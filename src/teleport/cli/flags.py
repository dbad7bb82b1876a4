"""The flags by which a tool is told where its cluster is."""

from dataclasses import dataclass


@dataclass(slots=True)
class ClusterFlags:
    """As they were typed; None where they were not."""

    config: str | None = None
    """A configuration file of an auth server on this host; empty means: do not look at one."""
    auth_server: str | None = None
    """`host:port`, of an auth server, or of a proxy on one of the ports that proxies have."""
    proxy: str | None = None
    """`host:port`."""
    insecure: bool = False
    """Do not look at the proxy's web certificate; auth's own is verified all the same."""
    identity: str | None = None
    """The path of an identity file."""
    skip_version_check: bool = False
    """Do not let the cluster hold this tool's version against its own."""
