"""`teleport app start`: serve one application, as `teleport start` does with a configuration."""

from typing import Any

import click

from teleport.cli.command import Command
from teleport.cli.console import Invocation
from teleport.cli.teleport.start import run_teleport, start
from teleport.config.start_flags import StartFlags

EXAMPLES = [
    "teleport app start --token=/path/to/token --auth-server=auth.example.com:3025 --name=db --uri=tcp://db:5432",
]
_OTHERWISE = frozenset({"roles", "labels", "listen_ip", "app_name", "app_uri", "app_public_addr"})
"""Flags of `teleport start` that are of other services, or have other names here."""
_FLAGS = (
    click.Option(["--name", "app_name"], required=True, help="The application's name."),
    click.Option(["--uri", "app_uri"], required=True, help="Where it is, as http://localhost:8080 or tcp://db:5432."),
    click.Option(["--public-addr", "app_public_addr"], help="The address by which users open it."),
    click.Option(["--labels", "app_labels"], help="Its labels, as key=value,key2=value2."),
)


def _run(**flags: Any) -> None:  # noqa: ANN401 - StartFlags has the types
    debug = flags.pop("debug")
    run_teleport(click.get_current_context().ensure_object(Invocation), StartFlags(roles="app", **flags), debug=debug)


app_start = Command(
    "start",
    callback=_run,
    help="Serve an application on this host, in the foreground.",
    params=[*_FLAGS, *(param for param in start.params if param.name not in _OTHERWISE)],
    examples=EXAMPLES,
)
