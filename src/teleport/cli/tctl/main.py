"""The entry point of `tctl`: the table of its commands."""

import sys

from teleport.cli.console import run
from teleport.cli.lazy import LazyGroup
from teleport.cli.tctl.session import Session, build_global_options

_HERE = "teleport.cli.tctl"

tctl = LazyGroup(
    name="tctl",
    help="""\
    Administer a Teleport cluster.

    On the host of the auth server no flags are needed, only the right to read its data directory:

    \b
      sudo tctl status

    From elsewhere it takes an identity file, and the address of a proxy or of auth:

    \b
      tctl --proxy=HOST:443 -i IDENTITY-FILE status
      tctl --auth-server=HOST:3025 -i IDENTITY-FILE status
    """,
    params=build_global_options(),
    commands_at={
        "status": f"{_HERE}.status:status",
        "tokens": f"{_HERE}.tokens:tokens",
        "join": f"{_HERE}.join:join",
        "nodes": f"{_HERE}.nodes:nodes",
        "users": f"{_HERE}.users:users",
        "get": f"{_HERE}.get:get",
        "create": f"{_HERE}.create:create",
        "edit": f"{_HERE}.edit:edit",
        "rm": f"{_HERE}.remove:remove",
        "manifests": f"{_HERE}.manifests:manifests",
        "inventory": f"{_HERE}.inventory:inventory",
        "auth": f"{_HERE}.auth:auth",
        "kube": f"{_HERE}.kube:kube",
        "version": f"{_HERE}.version:version",
    },
    aliases={"del": "rm"},
)


def main() -> None:
    """Run `tctl` on the process's arguments."""
    sys.exit(run(tctl, name="tctl", invocation=Session()))
