"""`teleport start`: run an auth server, services of this host, or both, in the foreground."""

import asyncio
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from teleport.cli.command import Command
from teleport.cli.console import Invocation
from teleport.cli.log import configure_logging
from teleport.config.load import load_settings_at_start
from teleport.config.settings import Settings
from teleport.config.start_flags import StartFlags

EXAMPLES = [
    "teleport start",
    "teleport start --roles=auth --nodename=auth.example.com",
    "teleport start --roles=node --token=/path/to/token --proxy=proxy.example.com:443",
    "teleport start --roles=node --token=/path/to/token --ca-pin=sha256:... --auth-server=auth.example.com:3025",
]
_PATH = click.Path(path_type=Path, dir_okay=False)


@click.command("start", cls=Command, examples=EXAMPLES)
@click.option("-d", "--debug", is_flag=True, help="Log in detail.")
@click.option(
    "-c",
    "--config",
    type=_PATH,
    help="Configuration file, by default /etc/teleport.yaml if it exists; it wins over flags.",
)
@click.option("--config-string", help="The whole configuration in base64.")
@click.option("-r", "--roles", help="Comma-separated: app, auth, db, discovery, kube, node, proxy, windowsdesktop.")
@click.option("--auth-server", help="Where auth is, as host:3025; role auth is not started then.")
@click.option("--proxy", help="A proxy's public address, as host:443, through which auth is reached.")
@click.option("--token", help="The join token, or the absolute path of a file that holds it (safer: nobody sees it).")
@click.option("--ca-pin", "ca_pins", multiple=True, help="What `tctl status` shows; may be given several times.")
@click.option("--nodename", help="This host's name in the cluster; its host name by default.")
@click.option("--labels", help="Labels of the SSH Service, as key=value,key2=value2.")
@click.option("--advertise-ip", help="The address that others shall use, where it differs from the interface's.")
@click.option("-l", "--listen-ip", help="The address to listen on; all addresses by default.")
@click.option("--diag-addr", help="Where /healthz, /readyz and /metrics are served, as 127.0.0.1:3000.")
@click.option("--data-dir", type=click.Path(path_type=Path, file_okay=False), help="By default /var/lib/teleport.")
@click.option("--pid-file", type=_PATH, help="A file for the process's id.")
@click.option("--insecure-skip-ca-pin", is_flag=True, help="Trust whoever answers as auth. For tests only.")
@click.option("--insecure", is_flag=True, help="Do not look at the web certificate of --proxy. For tests only.")
@click.option(
    "--skip-version-check",
    is_flag=True,
    help="Go on where this host and the cluster are more than one major version apart.",
)
@click.option("--app-name", help="The name of an application to serve; needs --app-uri.")
@click.option("--app-uri", help="Where that application is, as http://localhost:8080.")
@click.option("--app-public-addr", help="The address by which users open it.")
@click.pass_obj
def start(invocation: Invocation, /, *, debug: bool, **flags: Any) -> None:  # noqa: ANN401 - StartFlags has the types
    """Run Teleport on this host, in the foreground.

    Without flags the configuration file decides. SIGTERM stops, SIGHUP restarts with the configuration read anew.
    """
    run_teleport(invocation, StartFlags(**flags), debug=debug)


def run_teleport(invocation: Invocation, flags: StartFlags, *, debug: bool) -> None:
    """Run what flags and configuration say, until a signal ends it; for a restart, begin anew."""
    from teleport.cli.teleport.process import Ending, run_process  # noqa: PLC0415 - `--help` does not wait for it

    invocation.debug = debug
    settings = load_settings_at_start(flags, environ=os.environ, hostname=socket.gethostname())
    configure_logging(settings.log, debug=debug)
    with asyncio.Runner(loop_factory=_choose_loop(settings)) as runner:
        ending = runner.run(run_process(settings))
    if ending is Ending.RESTART:
        os.execv(sys.executable, sys.orig_argv)  # noqa: S606 - this very program, with its own arguments


def _choose_loop(settings: Settings) -> Callable[[], asyncio.AbstractEventLoop]:
    """Serve many connections on uvloop; an agent without applications does without uvloop's three megabytes."""
    if not (settings.auth.enabled or settings.is_proxy or settings.applications):
        return asyncio.new_event_loop
    import uvloop  # noqa: PLC0415 - see above

    return uvloop.new_event_loop
