"""`tctl users reset`."""

from datetime import timedelta

import click

from teleport.api.operations import USER_RESET
from teleport.api.people import UserLinkResponse, UserResetRequest
from teleport.cli.escaping import escape
from teleport.cli.params import format_option, parsed
from teleport.cli.tctl.cluster import ApiClient, ask
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.cli.tctl.user_link import build_ttl_parser, render_link
from teleport.config.duration import render_duration
from teleport.resources.user import check_user_name

LONGEST = timedelta(hours=24)


@click.command("reset", cls=TctlCommand, examples=["tctl users reset alice", "tctl users reset alice --ttl=1h"])
@click.argument("name")
@click.option(
    "--ttl",
    default="8h",
    show_default=True,
    callback=parsed(build_ttl_parser(LONGEST)),
    help="Life of the link, 24h at most.",
)
@format_option("text", "json", "yaml")
@click.pass_obj
def reset(session: Session, *, name: str, ttl: timedelta, output_format: str) -> None:
    """Let a user set a new password and a new second factor.

    The old ones, a lock, and the user's web sessions end at once.
    """
    check_user_name(name)
    request = UserResetRequest(user=name, ttl_seconds=int(ttl.total_seconds()))

    async def work(client: ApiClient) -> UserLinkResponse:
        return await client.call(USER_RESET, request)

    link = ask(session, work)
    text = (
        f'User "{escape(name)}" has been reset. Share this URL with the user to complete password reset, '
        f"link is valid for {render_duration(ttl)}:"
    )
    click.echo(render_link(link, text, output_format, user=name), nl=False)
