"""`tctl users add`."""

from datetime import timedelta

import click

from teleport.api.operations import USER_INVITE
from teleport.api.people import UserInviteRequest, UserLinkResponse
from teleport.cli.escaping import escape
from teleport.cli.params import format_option, parsed
from teleport.cli.tctl.cluster import ApiClient, ask
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.cli.tctl.user_link import build_ttl_parser, parse_names, render_link
from teleport.config.duration import render_duration
from teleport.resources.user import check_user_name

LONGEST = timedelta(hours=48)


@click.command(
    "add",
    cls=TctlCommand,
    examples=["tctl users add alice --roles=access", "tctl users add bob --roles=editor,access --logins=bob --ttl=8h"],
)
@click.argument("name")
@click.option("--roles", required=True, callback=parsed(parse_names), help="Roles of the user.")
@click.option("--logins", callback=parsed(parse_names), help="Logins on hosts; kept as the user's trait logins.")
@click.option(
    "--ttl",
    default="1h",
    show_default=True,
    callback=parsed(build_ttl_parser(LONGEST)),
    help="Life of the link, 48h at most.",
)
@format_option("text", "json", "yaml")
@click.pass_obj
def add(
    session: Session,
    *,
    name: str,
    roles: tuple[str, ...],
    logins: tuple[str, ...] | None,
    ttl: timedelta,
    output_format: str,
) -> None:
    """Make a user, and a link by which they set a password and a second factor, once."""
    check_user_name(name)
    traits = {"logins": logins} if logins else {}
    request = UserInviteRequest(user=name, roles=roles, traits=traits, ttl_seconds=int(ttl.total_seconds()))

    async def work(client: ApiClient) -> UserLinkResponse:
        return await client.call(USER_INVITE, request)

    link = ask(session, work)
    text = (
        f'User "{escape(name)}" has been created but requires a password. Share this URL with the user to complete '
        f"user setup, link is valid for {render_duration(ttl)}:"
    )
    click.echo(render_link(link, text, output_format, user=name), nl=False)
