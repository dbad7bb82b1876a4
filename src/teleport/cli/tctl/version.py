"""`tctl version`."""

import click

from teleport.cli.tctl.session import TctlCommand
from teleport.version import render_version


@click.command("version", cls=TctlCommand, examples=["tctl version"])
def version() -> None:
    """Print the version of this tool.

    `tctl status` tells the cluster's.
    """
    click.echo(render_version())
