"""`tctl tokens uses`."""

from collections.abc import Sequence
from datetime import UTC

import click

from teleport.api.messages import TokenUse, TokenUsesRequest
from teleport.api.operations import TOKEN_USES
from teleport.cli.output import render_items, render_table
from teleport.cli.params import format_option
from teleport.cli.tctl.cluster import ApiClient, ask
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.cli.tctl.token_name import find_token_name

HEADER = ("Time (UTC)", "Host ID", "Remote Address", "Role", "Outcome")


@click.command(
    "uses",
    cls=TctlCommand,
    examples=[
        "tctl tokens uses '************************4c1f2a90'",
        "tctl tokens uses kubernetes-token --format=json",
    ],
)
@click.argument("token")
@click.option("--limit", type=click.IntRange(1, 1000), default=100, show_default=True, help="At most so many uses.")
@format_option("text", "json", "yaml")
@click.pass_obj
def uses(session: Session, *, token: str, limit: int, output_format: str) -> None:
    """Show who used a token, newest first.

    Each line tells when, which host, from where, and what came of it: success, or the reason of the refusal.
    """

    async def work(client: ApiClient) -> tuple[TokenUse, ...]:
        name = await find_token_name(client, token)
        return (await client.call(TOKEN_USES, TokenUsesRequest(name=name, limit=limit))).uses

    ledger = ask(session, work)
    if output_format == "text":
        click.echo(render_table(HEADER, map(_build_row, ledger)), nl=False)
    else:
        click.echo(render_items([use.model_dump(mode="json") for use in ledger], output_format), nl=False)


def _build_row(use: TokenUse) -> Sequence[str]:
    when = use.time.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S")
    return (when, use.host_id, use.remote_addr, use.role, use.outcome)
