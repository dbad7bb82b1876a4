"""`tctl nodes ls`."""

import click

from teleport.cli.output import render_items, terminal_width
from teleport.cli.params import format_option, parsed
from teleport.cli.searching import is_found, parse_search
from teleport.cli.tctl.cluster import ApiClient, ask, list_servers
from teleport.cli.tctl.server_table import render_servers
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.config.labels import parse_labels
from teleport.resources.codec import to_plain
from teleport.resources.presence import Server


@click.command(
    "ls",
    cls=TctlCommand,
    examples=["tctl nodes ls", "tctl nodes ls env=prod -v", 'tctl nodes ls --search=web,"us east"'],
)
@click.argument("labels", default="", callback=parsed(parse_labels))
@click.option("-v", "--verbose", is_flag=True, help="Do not cut columns to the terminal's width.")
@click.option(
    "--search", default="", callback=parsed(parse_search), help="Only nodes in which all of these words occur."
)
@format_option("text", "json", "yaml")
@click.pass_obj
def list_all(session: Session, *, labels: dict[str, str], verbose: bool, search: list[str], output_format: str) -> None:
    """List the SSH services that are alive.

    LABELS, as env=prod,team=core, leave only those that have them all.
    """

    async def work(client: ApiClient) -> list[Server]:
        return await list_servers(client, "node")

    found = [server for server in ask(session, work) if _matches(server, labels, search)]
    if output_format == "text":
        click.echo(render_servers(found, width=None if verbose else terminal_width()), nl=False)
    else:
        click.echo(render_items([to_plain(server) for server in found], output_format), nl=False)


def _matches(server: Server, labels: dict[str, str], search: list[str]) -> bool:
    spec = server.spec
    places = (spec.hostname, server.name, spec.addr, spec.public_addr)
    return is_found(server.all_labels, places, labels, search)
