"""`tctl users update`."""

import click

from teleport.api.messages import ResourceRequest
from teleport.api.operations import RESOURCE_UPDATE
from teleport.cli.escaping import escape
from teleport.cli.params import parsed
from teleport.cli.tctl.cluster import ApiClient, ask, get_document
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.cli.tctl.user_link import parse_names
from teleport.errors import BadParameter
from teleport.resources.codec import to_plain
from teleport.resources.model import parse_model
from teleport.resources.user import User


@click.command(
    "update",
    cls=TctlCommand,
    examples=["tctl users update alice --set-roles=access,auditor", "tctl users update alice --set-logins=alice,admin"],
)
@click.argument("name")
@click.option("--set-roles", callback=parsed(parse_names), help="The roles that the user has from now on.")
@click.option("--set-logins", callback=parsed(parse_names), help="The logins that the user has from now on.")
@click.pass_obj
def update(
    session: Session, *, name: str, set_roles: tuple[str, ...] | None, set_logins: tuple[str, ...] | None
) -> None:
    """Change what a user may; sessions go by it at once."""
    if set_roles is None and set_logins is None:
        raise BadParameter("say what to change: --set-roles or --set-logins")

    async def work(client: ApiClient) -> None:
        user = parse_model(User, await get_document(client, "user", name), "user")
        changed = _change(user, set_roles, set_logins)
        await client.call(RESOURCE_UPDATE, ResourceRequest(resource=to_plain(changed)))

    ask(session, work)
    click.echo(f'User "{escape(name)}" has been updated')


def _change(user: User, roles: tuple[str, ...] | None, logins: tuple[str, ...] | None) -> User:
    spec = user.spec
    if roles is not None:
        spec = spec.model_copy(update={"roles": roles})
    if logins is not None:
        spec = spec.model_copy(update={"traits": {**spec.traits, "logins": logins}})
    return user.model_copy(update={"spec": spec})
