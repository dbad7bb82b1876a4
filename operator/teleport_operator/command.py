"""The flags of the operator: they make its settings, and then it runs."""

import asyncio
import sys
from pathlib import Path
from typing import Any

import click

from teleport.cli.console import Invocation, run
from teleport.cli.escaping import escape
from teleport.cli.log import configure_logging
from teleport.cli.params import parsed
from teleport.clock import SystemClock
from teleport.config.duration import parse_duration
from teleport.config.settings import AUTH_PORT, LogSettings
from teleport.resources.address import parse_address
from teleport_operator.settings import NAMESPACE_FILE, OperatorSettings

NAME = "python -m teleport_operator"
DEFAULTS = OperatorSettings(auth_server=parse_address("127.0.0.1", AUTH_PORT), namespace="", namespaces=())

_FILE = click.Path(path_type=Path, dir_okay=False)


@click.group(name=NAME, invoke_without_command=True)
@click.option("-d", "--debug", is_flag=True, help="Log in detail.")
@click.option(
    "--auth-server",
    required=True,
    callback=parsed(lambda text: parse_address(text, AUTH_PORT)),
    help="Where auth is, as host:3025.",
)
@click.option(
    "--token", default=DEFAULTS.token, show_default=True, help="The provision token that admits the operator."
)
@click.option("--join-method", default=DEFAULTS.join_method, show_default=True, help="How it admits it.")
@click.option("--ca-pin", "ca_pins", multiple=True, help="What `tctl status` shows; may be given several times.")
@click.option("--ca-file", type=_FILE, help="CA certificates of the Teleport cluster, instead of --ca-pin.")
@click.option("--identity-file", type=_FILE, help="Made by `tctl auth sign`, instead of joining. For development.")
@click.option("--kubeconfig", type=_FILE, help="Instead of the pod's own account. For development.")
@click.option("--namespace", help="Where the operator lives; by default the namespace of its pod.")
@click.option(
    "--namespaces",
    default="",
    help="Whose objects are watched, comma-separated; the operator's own by default, * for all.",
)
@click.option("--operator-id", default=DEFAULTS.operator_id, show_default=True, help="Tells its tokens from others'.")
@click.option("--lease", default=DEFAULTS.lease, show_default=True, help="The Lease by which one of several leads.")
@click.option(
    "--diag-addr",
    default=str(DEFAULTS.diag_addr),
    show_default=True,
    callback=parsed(lambda text: parse_address(text, DEFAULTS.diag_addr.port)),
    help="Where /healthz, /readyz and /metrics are served.",
)
@click.option("--delegation-file", type=_FILE, help="What namespaces other than the operator's own may declare.")
@click.option(
    "--deletion-timeout",
    default="1h",
    show_default=True,
    callback=parsed(parse_duration),
    help="How long a deleted object waits for an auth server that does not answer.",
)
@click.option(
    "--drift-interval",
    default="30s",
    show_default=True,
    callback=parsed(parse_duration),
    help="How often the cluster's tokens are compared with what they should be.",
)
@click.option(
    "--log-format", type=click.Choice(["text", "json"]), default="text", show_default=True, help="Of the log."
)
@click.pass_context
def operator(ctx: click.Context, /, *, debug: bool, log_format: str, **flags: Any) -> None:  # noqa: ANN401 - as OperatorSettings has them
    """Keep join tokens as TeleportProvisionToken objects of Kubernetes declare them.

    In a pod it joins by the ServiceAccount token at KUBERNETES_TOKEN_PATH, whose audience is the name of the
    Teleport cluster.
    """
    invocation = ctx.ensure_object(Invocation)
    invocation.debug = debug
    configure_logging(LogSettings(format=log_format), debug=debug)
    ctx.meta["settings"] = settings = build_settings(**flags)
    if ctx.invoked_subcommand is None:
        import uvloop  # noqa: PLC0415 - `--help` does not wait for it

        from teleport_operator.server import run_operator  # noqa: PLC0415 - `--help` does not wait for it

        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(run_operator(settings, clock=SystemClock()))


@operator.command()
@click.pass_context
def preflight(ctx: click.Context, /) -> int:
    """Check everything that the operator needs, with the flags that come before; changes nothing.

    A line each: ok, warning or missing, and what to do. The exit status is 1 where something is missing.
    """
    from teleport_operator.server import run_preflight  # noqa: PLC0415 - `--help` does not wait for it

    def show(check: object) -> None:
        for line in str(check).splitlines():
            click.echo(escape(line))

    return 0 if asyncio.run(run_preflight(ctx.meta["settings"], clock=SystemClock(), show=show)) else 1


def build_settings(*, namespace: str | None, namespaces: str, **flags: Any) -> OperatorSettings:  # noqa: ANN401 - the same
    """Return the settings that the flags make; the pod's own namespace is the default."""
    own = namespace or find_own_namespace(NAMESPACE_FILE)
    watched = tuple(dict.fromkeys(each.strip() for each in namespaces.split(",") if each.strip())) or (own,)
    return OperatorSettings(namespace=own, namespaces=() if "*" in watched else watched, **flags)


def find_own_namespace(path: Path) -> str:
    """Return the namespace of this pod, or `default` outside of one."""
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return "default"


def main() -> None:
    """Run the operator on the process's arguments."""
    sys.exit(run(operator, name=NAME, invocation=Invocation()))
