"""`tctl rm`."""

import click

from teleport.cli.escaping import escape
from teleport.cli.params import parsed
from teleport.cli.tctl.cluster import ApiClient, ask, delete
from teleport.cli.tctl.reference import Reference, parse_one
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.cli.tctl.token_name import find_token_name


@click.command(
    "rm",
    cls=TctlCommand,
    examples=["tctl rm token/kubernetes-token", "tctl rm node/5f0c6a4e-8a6d-4add-889a-28427abaa75e"],
)
@click.argument("reference", metavar="KIND/NAME", callback=parsed(parse_one))
@click.pass_obj
def remove(session: Session, *, reference: Reference) -> None:
    """Delete a resource; a token may be named as lists show it."""
    kind, name = reference.kind, reference.name

    async def work(client: ApiClient) -> None:
        await delete(client, kind, await find_token_name(client, name) if kind == "token" else name)

    ask(session, work)
    click.echo(f'{kind} "{escape(name)}" has been deleted')
