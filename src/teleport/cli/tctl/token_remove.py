"""`tctl tokens rm`."""

import click

from teleport.cli.escaping import escape
from teleport.cli.tctl.cluster import ApiClient, ask, delete
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.cli.tctl.token_name import find_token_name


@click.command(
    "rm",
    cls=TctlCommand,
    examples=[
        "tctl tokens rm 8fd1c3e0a97b42d6b5f00f6d4c1f2a90",
        "tctl tokens rm '************************4c1f2a90'",
    ],
)
@click.argument("token")
@click.pass_obj
def remove(session: Session, *, token: str) -> None:
    """Revoke a token: nobody can join with it any more.

    It is named in full, or as `tctl tokens ls` shows it.
    """

    async def work(client: ApiClient) -> None:
        await delete(client, "token", await find_token_name(client, token))

    ask(session, work)
    click.echo(f"Token {escape(token)} has been deleted")
