"""The commands of `tsh proxy`."""

from teleport.cli.lazy import LazyGroup

proxy = LazyGroup(
    name="proxy",
    help="Reach what is behind the proxy from this machine's own ports.",
    commands_at={"app": "teleport.cli.tsh.proxy_app:proxy_app"},
)
