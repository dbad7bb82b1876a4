"""`tctl nodes add`."""

from datetime import timedelta

import click

from teleport.cli.output import render_json
from teleport.cli.params import parsed
from teleport.cli.tctl.invitation import render_node_text
from teleport.cli.tctl.inviting import Order, invite, ttl_option
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.resources.role import SystemRole, parse_roles


@click.command(
    "add", cls=TctlCommand, examples=["tctl nodes add --ttl=5m", "tctl nodes add --roles=node,proxy --ttl=1h"]
)
@click.option("--roles", default="node", show_default=True, callback=parsed(parse_roles), help="Roles, as node,proxy.")
@ttl_option
@click.option("--token", "value", help="The token itself, at least 16 characters; the default is a random one.")
@click.option("--format", "output_format", type=click.Choice(["text", "json"]), default="text", hidden=True)
@click.pass_obj
def add(
    session: Session, *, roles: tuple[SystemRole, ...], ttl: timedelta, value: str | None, output_format: str
) -> None:
    """Make a token that invites a host, and say how to use it."""
    outcome = invite(session, Order(roles=roles, ttl=ttl, value=value))
    if output_format == "json":
        click.echo(render_json([outcome.token.name]))  # an array of one string, as scripts know it from the original
    else:
        click.echo(render_node_text(outcome.invitation), nl=False)
