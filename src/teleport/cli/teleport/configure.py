"""`teleport configure`."""

from pathlib import Path

import click

from teleport.cli.command import Command
from teleport.cli.params import parsed
from teleport.cli.teleport.config_check import check_file
from teleport.cli.teleport.configuring import (
    find_nodename,
    output_options,
    parse_path,
    parse_token,
    write_configuration,
)
from teleport.config.applications import parse_app_name, parse_app_uri
from teleport.config.labels import parse_labels
from teleport.config.load import VERSIONS
from teleport.config.names import parse_address_or_host, parse_nodename
from teleport.config.settings import DEFAULT_DATA_DIR
from teleport.config.start_flags import parse_startable_roles
from teleport.config.template import Template
from teleport.resources.role import SystemRole

_address = parsed(parse_address_or_host)
_path = parsed(parse_path)


@click.command(
    "configure",
    cls=Command,
    examples=[
        "sudo teleport configure --roles=node --token=TOKEN --auth-server=auth.example.com:3025 -o file",
        "sudo teleport configure --roles=auth --cluster-name=example.com -o file",
        "teleport configure --test /etc/teleport.yaml",
    ],
)
@click.option(
    "--test",
    "tested",
    type=click.Path(path_type=Path),
    help="Check this configuration, say what is wrong with it line by line, and write nothing.",
)
@output_options
@click.option(
    "--roles",
    default="proxy,node,auth",
    show_default=True,
    callback=parsed(parse_startable_roles),
    help="Services to enable: app, auth, db, discovery, kube, node, proxy, windowsdesktop.",
)
@click.option("--token", callback=parsed(parse_token), help="Join token, or the absolute path of a file with it.")
@click.option("--proxy", "proxy_server", callback=_address, help="Join through this proxy, as host:port.")
@click.option("--auth-server", callback=_address, help="Join through this auth server, as host:port.")
@click.option("--cluster-name", callback=parsed(parse_nodename), help="Name of a new cluster.")
@click.option("--node-name", callback=parsed(parse_nodename), help="Name of this host; the default is its own.")
@click.option(
    "--node-labels", default="", callback=parsed(parse_labels), help="Labels of the node, as env=prod,team=core."
)
@click.option(
    "--public-addr", callback=_address, help="Address by which users reach the proxy; the port is 443 if absent."
)
@click.option(
    "--data-dir", default=str(DEFAULT_DATA_DIR), show_default=True, callback=_path, help="Where state is kept."
)
@click.option("--app-name", callback=parsed(parse_app_name), help="Application to serve; goes with --app-uri.")
@click.option("--app-uri", callback=parsed(parse_app_uri), help="Where it is, as http://localhost:8080.")
@click.option("--acme", is_flag=True, help="Let the proxy fetch its certificate by ACME.")
@click.option("--acme-email", callback=parsed(parse_token), help="Whom the ACME server writes to.")
@click.option("--cert-file", callback=_path, help="Certificate of the proxy; goes with --key-file.")
@click.option("--key-file", callback=_path, help="Key of the proxy's certificate.")
@click.option(
    "--version", "version", type=click.Choice(VERSIONS), default="v3", show_default=True, help="Of the file's format."
)
@click.pass_context
def configure(  # noqa: PLR0913 - one parameter an option
    ctx: click.Context,
    *,
    tested: Path | None,
    destination: Path | None,
    silent: bool,
    roles: tuple[SystemRole, ...],
    token: str | None,
    proxy_server: str | None,
    auth_server: str | None,
    cluster_name: str | None,
    node_name: str | None,
    node_labels: dict[str, str],
    public_addr: str | None,
    data_dir: Path,
    app_name: str | None,
    app_uri: str | None,
    acme: bool,
    acme_email: str | None,
    cert_file: Path | None,
    key_file: Path | None,
    version: str,
) -> None:
    """Write a configuration file from a few answers.

    A file that exists is never overwritten. The file is for its owner alone, since it may hold a token.
    """
    if tested is not None:
        ctx.exit(0 if check_file(tested) else 1)
    template = Template(
        nodename=find_nodename(node_name),
        version=version,
        roles=roles,
        data_dir=data_dir,
        token=token,
        auth_server=auth_server,
        proxy_server=proxy_server,
        cluster_name=cluster_name,
        public_addr=public_addr,
        acme=acme,
        acme_email=acme_email,
        cert_file=cert_file,
        key_file=key_file,
        labels=node_labels,
        app_name=app_name,
        app_uri=app_uri,
    )
    write_configuration(template, destination, silent=silent)
