"""`teleport version`."""

import click

from teleport.version import VERSION, render_version


@click.command("version")
@click.option("--raw", is_flag=True, help="Print the number alone.")
def version(*, raw: bool) -> None:
    """Print the version of this program."""
    click.echo(VERSION if raw else render_version())
