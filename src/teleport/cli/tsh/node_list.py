"""`tsh ls`."""

import click

from teleport.api.client import Client
from teleport.cli.output import fit_rows, render_items, render_table, terminal_width
from teleport.cli.params import format_option, parsed
from teleport.cli.profile import Profile
from teleport.cli.searching import is_found, join_labels, parse_search
from teleport.cli.tctl.cluster import list_servers
from teleport.cli.tsh.cluster import ask
from teleport.cli.tsh.session import Session, TshCommand
from teleport.config.labels import parse_labels
from teleport.resources.codec import to_plain
from teleport.resources.presence import Server

HEADER = ("Node Name", "Address", "Labels")
VERBOSE_HEADER = ("Node Name", "Node ID", "Address", "Labels")
TUNNEL = "⟵ Tunnel"
"""In the place of an address: the node is reached through a tunnel that it has dug itself."""


@click.command(
    "ls",
    cls=TshCommand,
    examples=["tsh ls", "tsh ls env=prod -v", 'tsh ls --search=web,"us east"', "tsh ls --format=names"],
)
@click.argument("labels", default="", callback=parsed(parse_labels))
@click.option("-v", "--verbose", is_flag=True, help="Show ids as well, and cut nothing to the terminal's width.")
@click.option("--search", default="", callback=parsed(parse_search), help="Only those that have all of these words.")
@format_option("text", "json", "yaml", "names")
@click.pass_obj
def list_nodes(
    session: Session, *, labels: dict[str, str], verbose: bool, search: list[str], output_format: str
) -> None:
    """List the SSH services that are alive.

    LABELS, as env=prod,team=core, leave only those that have them all.
    """

    async def work(client: Client, _: Profile) -> list[Server]:
        return await list_servers(client, "node")

    found = [
        server
        for server in ask(session, work)
        if is_found(server.all_labels, (server.spec.hostname, server.name, server.spec.addr), labels, search)
    ]
    if output_format == "names":
        click.echo("".join(f"{server.spec.hostname}\n" for server in found), nl=False)
    elif output_format == "text":
        click.echo(render_nodes(found, is_verbose=verbose, width=terminal_width()), nl=False)
    else:
        click.echo(render_items([to_plain(server) for server in found], output_format), nl=False)


def render_nodes(servers: list[Server], *, is_verbose: bool, width: int | None) -> str:
    """Return the table of nodes, its labels cut to a terminal's width if one is given, unless all is wanted."""
    header = VERBOSE_HEADER if is_verbose else HEADER
    rows = [_build_row(server, is_verbose=is_verbose) for server in servers]
    if is_verbose or width is None:
        return render_table(header, rows)
    return render_table(header, fit_rows(header, rows, cut=len(header) - 1, width=width))


def _build_row(server: Server, *, is_verbose: bool) -> tuple[str, ...]:
    ids = (server.name,) if is_verbose else ()
    return (server.spec.hostname, *ids, server.spec.addr or TUNNEL, join_labels(server.all_labels))
