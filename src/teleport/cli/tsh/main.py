"""The entry point of `tsh`: the table of its commands."""

import sys

from teleport.cli.console import run
from teleport.cli.lazy import LazyGroup
from teleport.cli.tsh.session import Session, build_global_options

_HERE = "teleport.cli.tsh"

tsh = LazyGroup(
    name="tsh",
    help="""\
    Log in to a Teleport cluster, and open what you may open there.

    \b
      tsh login --proxy=teleport.example.com --user=alice
      tsh apps ls
    """,
    params=build_global_options(),
    commands_at={
        "login": f"{_HERE}.login:login",
        "logout": f"{_HERE}.logout:logout",
        "status": f"{_HERE}.status:status",
        "ls": f"{_HERE}.node_list:list_nodes",
        "apps": f"{_HERE}.apps:apps",
        "proxy": f"{_HERE}.proxy:proxy",
        "version": f"{_HERE}.version:version",
    },
    aliases={"app": "apps"},
)


def main() -> None:
    """Run `tsh` on the process's arguments."""
    sys.exit(run(tsh, name="tsh", invocation=Session()))
