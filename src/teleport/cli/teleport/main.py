"""The entry point of `teleport`: the table of its commands."""

import sys

import click

from teleport.cli.console import Invocation, run
from teleport.cli.lazy import LazyGroup
from teleport.cli.teleport.process_title import hide_secrets

_HERE = "teleport.cli.teleport"

node = LazyGroup(
    name="node",
    help="Configure a host whose SSH Service joins a cluster.",
    commands_at={"configure": f"{_HERE}.node_configure:node_configure"},
)
install = LazyGroup(
    name="install",
    help="Write what this host needs to run Teleport.",
    commands_at={"systemd": f"{_HERE}.systemd:install_systemd"},
)
app = LazyGroup(
    name="app",
    help="Serve an application.",
    commands_at={"start": f"{_HERE}.app_start:app_start"},
)


class TeleportGroup(LazyGroup):
    """The commands, of which some are groups that need no import."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names in the order of the table."""
        return [*super().list_commands(ctx), *self.commands]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a group, or import a command."""
        return self.commands.get(cmd_name) or super().get_command(ctx, cmd_name)


teleport = TeleportGroup(
    name="teleport",
    help="""Run Teleport on this host: an auth server, or services that join a cluster.

    teleport configure writes a configuration, teleport start runs it.
    """,
    commands={"app": app, "node": node, "install": install},
    commands_at={
        "start": f"{_HERE}.start:start",
        "configure": f"{_HERE}.configure:configure",
        "version": f"{_HERE}.version:version",
    },
)


def main() -> None:
    """Run `teleport` on the process's arguments."""
    hide_secrets(sys.argv)
    sys.exit(run(teleport, name="teleport", invocation=Invocation()))
