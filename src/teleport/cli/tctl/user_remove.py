"""`tctl users rm`."""

import click

from teleport.cli.escaping import escape
from teleport.cli.params import parsed
from teleport.cli.tctl.cluster import ApiClient, ask, delete
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.cli.tctl.user_link import parse_names


@click.command("rm", cls=TctlCommand, examples=["tctl users rm alice", "tctl users rm alice,bob"])
@click.argument("names", metavar="NAME,...", callback=parsed(parse_names))
@click.pass_obj
def remove(session: Session, *, names: tuple[str, ...]) -> None:
    """Remove users; their web sessions and links end with them."""

    async def work(client: ApiClient) -> None:
        for name in names:
            await delete(client, "user", name)
            click.echo(f'User "{escape(name)}" has been deleted')

    ask(session, work)
