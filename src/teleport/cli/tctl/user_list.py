"""`tctl users ls`."""

import click

from teleport.cli.output import render_items
from teleport.cli.params import format_option
from teleport.cli.tctl.cluster import ApiClient, ask, list_documents
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.cli.tctl.user_table import render_users
from teleport.resources.codec import to_plain
from teleport.resources.model import parse_model
from teleport.resources.user import User


@click.command("ls", cls=TctlCommand, examples=["tctl users ls", "tctl users ls --format=json"])
@format_option("text", "json", "yaml")
@click.pass_obj
def list_all(session: Session, *, output_format: str) -> None:
    """List users, their roles, and whether they are locked."""

    async def work(client: ApiClient) -> list[User]:
        return [parse_model(User, document, "user") for document in await list_documents(client, "user")]

    users = ask(session, work)
    text = output_format == "text"
    click.echo(
        render_users(users) if text else render_items([to_plain(each) for each in users], output_format), nl=False
    )
