"""`teleport configure --test`: whether a configuration would be accepted, and if not, what is wrong on which line."""

import socket
from pathlib import Path

import click

from teleport.cli.escaping import escape
from teleport.config.load import load_settings
from teleport.config.source import load_file
from teleport.errors import BadConfiguration, TeleportError


def check_file(path: Path) -> bool:
    """Print what the reading of the file brings to light, and return whether it is accepted."""
    try:
        source = load_file(path)
        settings = load_settings(source.text, hostname=socket.gethostname(), origin=source.origin)
    except TeleportError as error:
        for problem in error.problems if isinstance(error, BadConfiguration) else [error.message]:
            click.echo(f"ERROR: {escape(problem)}", err=True)
        return False
    for warning in settings.warnings:
        click.echo(f"WARNING: {escape(warning)}", err=True)
    click.echo(f"{escape(str(path))} is valid")
    return True
