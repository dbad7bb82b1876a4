"""What one run of `tsh` knows: its global flags, the time, and the environment."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import click

from teleport.cli.command import Command
from teleport.cli.console import Invocation
from teleport.clock import Clock, SystemClock


@dataclass(slots=True)
class Session(Invocation):
    """One run of `tsh`; flags are as they were typed, and empty where they were not."""

    proxy: str = ""
    """`host` or `host:port`."""
    user: str = ""
    insecure: bool = False
    """Do not look at the proxy's web certificate."""
    skip_version_check: bool = False
    clock: Clock = field(default_factory=SystemClock)
    environ: Mapping[str, str] = field(default_factory=lambda: os.environ)


class TshCommand(Command):
    """A command that accepts the global flags after its name, too, as the original does; help shows them once."""

    def __init__(self, *args: Any, **attributes: Any) -> None:  # noqa: ANN401 - click's own arguments, passed on
        super().__init__(*args, **attributes)
        self.params += build_global_options(hidden=True)


def build_global_options(*, hidden: bool = False) -> list[click.Parameter]:
    """Return the options that every command has; they go into the session and not to the command."""
    return [
        _build_text(
            "--proxy", hidden, "TELEPORT_PROXY", "The proxy's address; without a port, 443 and 3080 are tried."
        ),
        _build_text("--user", hidden, "TELEPORT_USER", "Name of the user."),
        _build_flag("--insecure", hidden, "Do not look at the proxy's web certificate: whoever answers is believed."),
        _build_flag(
            "--skip-version-check",
            hidden,
            "Go on where this tool and the cluster are more than one major version apart.",
        ),
        _build_flag("--debug", hidden, "Show the trace of an error.", "-d"),
    ]


def _build_text(name: str, hidden: bool, variable: str, text: str) -> click.Option:  # noqa: FBT001 - private
    envvar = None if hidden else variable
    return click.Option(
        [name], hidden=hidden, expose_value=False, callback=_remember, help=text, envvar=envvar, show_envvar=True
    )


def _build_flag(name: str, hidden: bool, text: str, *short: str) -> click.Option:  # noqa: FBT001 - private
    return click.Option(
        [*short, name], is_flag=True, default=None, hidden=hidden, expose_value=False, callback=_remember, help=text
    )


def _remember(ctx: click.Context, param: click.Parameter, value: object) -> None:
    session = ctx.find_object(Session)
    if session is not None and value:
        setattr(session, param.name or "", value)
