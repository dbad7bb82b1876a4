"""`teleport node configure`."""

from pathlib import Path

import click

from teleport.cli.command import Command
from teleport.cli.params import parsed
from teleport.cli.teleport.configuring import (
    find_nodename,
    output_options,
    parse_path,
    parse_token,
    write_configuration,
)
from teleport.config.labels import parse_labels
from teleport.config.names import parse_address_or_host, parse_nodename
from teleport.config.pins import load_pins
from teleport.config.settings import DEFAULT_DATA_DIR
from teleport.config.template import Template
from teleport.resources.role import SystemRole
from teleport.resources.token import METHODS_OF_THE_ORIGINAL, TOKEN_METHOD

_address = parsed(parse_address_or_host)


@click.command(
    "configure",
    cls=Command,
    examples=[
        "sudo teleport node configure --token=TOKEN --auth-server=auth.example.com:3025 --ca-pin=sha256:... -o file",
        "sudo teleport node configure --token=TOKEN --proxy=proxy.example.com:443 --labels=env=prod -o file",
    ],
)
@output_options
@click.option("--token", callback=parsed(parse_token), help="Join token, or the absolute path of a file with it.")
@click.option(
    "--join-method",
    type=click.Choice(sorted(METHODS_OF_THE_ORIGINAL)),
    default=TOKEN_METHOD,
    show_default=True,
    metavar="METHOD",
    help="How the host proves who it is.",
)
@click.option("--proxy", "proxy_server", callback=_address, help="Join through this proxy, as host:port.")
@click.option("--auth-server", callback=_address, help="Join through this auth server, as host:port.")
@click.option(
    "--ca-pin", "ca_pins", callback=parsed(load_pins), help="CA pins of the cluster, with commas between them."
)
@click.option("--node-name", callback=parsed(parse_nodename), help="Name of this host; the default is its own.")
@click.option("--labels", default="", callback=parsed(parse_labels), help="Labels of the node, as env=prod,team=core.")
@click.option("--public-addr", callback=_address, help="Address by which the node is reached directly.")
@click.option(
    "--data-dir",
    default=str(DEFAULT_DATA_DIR),
    show_default=True,
    callback=parsed(parse_path),
    help="Where state is kept.",
)
def node_configure(
    *,
    destination: Path | None,
    silent: bool,
    token: str | None,
    join_method: str,
    proxy_server: str | None,
    auth_server: str | None,
    ca_pins: tuple[str, ...] | None,
    node_name: str | None,
    labels: dict[str, str],
    public_addr: str | None,
    data_dir: Path,
) -> None:
    """Write the configuration of a host whose SSH Service joins a cluster.

    It is `teleport configure --roles=node` with the answers that only such a host has.
    """
    template = Template(
        nodename=find_nodename(node_name),
        roles=(SystemRole.NODE,),
        data_dir=data_dir,
        token=token,
        join_method=join_method,
        auth_server=auth_server,
        proxy_server=proxy_server,
        ca_pins=ca_pins or (),
        public_addr=public_addr,
        labels=labels,
    )
    write_configuration(template, destination, silent=silent)
