"""`tsh version`."""

import click

from teleport.cli.tsh.session import TshCommand
from teleport.version import render_version


@click.command("version", cls=TshCommand, examples=["tsh version"])
def version() -> None:
    """Print the version of this tool."""
    click.echo(render_version())
