"""What one run of `tctl` knows: its global flags, the time, and how to reach the cluster."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from teleport.cli.command import Command
from teleport.cli.console import Invocation
from teleport.cli.flags import ClusterFlags
from teleport.clock import Clock, SystemClock

if TYPE_CHECKING:
    from collections.abc import Callable
    from contextlib import AbstractAsyncContextManager

    from teleport.cli.tctl.cluster import ApiClient

    Opener = Callable[[ClusterFlags], AbstractAsyncContextManager[ApiClient]]


@dataclass(slots=True)
class Session(Invocation):
    """One run of `tctl`."""

    flags: ClusterFlags = field(default_factory=ClusterFlags)
    clock: Clock = field(default_factory=SystemClock)
    opener: "Opener | None" = None
    """Reaches the cluster; the default is `teleport.cli.connection`, which is not imported before it is needed."""


class TctlCommand(Command):
    """A command that accepts the global flags after its name, too, as the original does; help shows them once."""

    def __init__(self, *args: Any, **attributes: Any) -> None:  # noqa: ANN401 - click's own arguments, passed on
        super().__init__(*args, **attributes)
        self.params += build_global_options(hidden=True)


def build_global_options(*, hidden: bool = False) -> list[click.Parameter]:
    """Return the options that every command has; they go into the session and not to the command."""
    return [
        _build_switch(
            ["--skip-version-check"],
            hidden,
            "Go on where this tool and the cluster are more than one major version apart.",
            _remember_flag,
        ),
        _build_switch(["-d", "--debug"], hidden, "Show the trace of an error.", _remember_debug),
        _build_flag(["-c", "--config"], hidden, "Configuration file of the auth server on this host."),
        _build_flag(["--auth-server"], hidden, "Address of the auth server, as host:3025."),
        _build_flag(["--proxy"], hidden, "Public address of a proxy, as host:443, through which auth is reached."),
        _build_flag(["-i", "--identity"], hidden, "Identity file, made with `tctl auth sign`; needs one of them."),
        _build_switch(
            ["--insecure"],
            hidden,
            "Do not look at the proxy's web certificate; auth's own is verified all the same.",
            _remember_flag,
        ),
    ]


def _build_switch(
    names: list[str],
    hidden: bool,  # noqa: FBT001 - private
    text: str,
    remember: "Callable[[click.Context, click.Parameter, bool | None], None]",
) -> click.Option:
    # Without a default: what is not given after the command does not undo what was given before it.
    return click.Option(
        names, is_flag=True, default=None, hidden=hidden, expose_value=False, callback=remember, help=text
    )


def _build_flag(names: list[str], hidden: bool, text: str) -> click.Option:  # noqa: FBT001 - private
    return click.Option(names, hidden=hidden, expose_value=False, callback=_remember_flag, help=text)


def _remember_debug(ctx: click.Context, _param: click.Parameter, value: bool | None) -> None:  # noqa: FBT001 - click calls it
    session = ctx.find_object(Session)
    if session is not None and value:
        session.debug = True


def _remember_flag(ctx: click.Context, param: click.Parameter, value: object) -> None:
    session = ctx.find_object(Session)
    if session is not None and value:
        setattr(session.flags, param.name or "", value)
