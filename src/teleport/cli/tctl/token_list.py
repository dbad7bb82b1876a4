"""`tctl tokens ls`."""

import click

from teleport.cli.escaping import escape
from teleport.cli.output import render_items
from teleport.cli.params import format_option, parsed, with_secrets_option
from teleport.cli.tctl.cluster import ApiClient, ask, list_tokens
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.cli.tctl.token_table import mask_token, render_tokens, sort_tokens
from teleport.config.labels import parse_labels
from teleport.resources.codec import to_plain
from teleport.resources.token import Token


@click.command(
    "ls",
    cls=TctlCommand,
    examples=["tctl tokens ls", "tctl tokens ls --labels=env=prod --with-secrets", "tctl tokens ls --format=json"],
)
@format_option("text", "json", "yaml", default=None)
@with_secrets_option
@click.option("--labels", default="", callback=parsed(parse_labels), help="Only tokens with all of these labels.")
@click.pass_obj
def list_all(session: Session, *, output_format: str | None, with_secrets: bool, labels: dict[str, str]) -> None:
    """List the tokens that can be used at present.

    What lets somebody in is masked.
    """

    async def work(client: ApiClient) -> list[Token]:
        return await list_tokens(client, with_secrets=with_secrets)

    found = [token for token in ask(session, work) if labels.items() <= token.metadata.labels.items()]
    tokens = sort_tokens(found if with_secrets else map(mask_token, found))
    click.echo(_render(tokens, output_format, session), nl=False)


def _render(tokens: list[Token], output_format: str | None, session: Session) -> str:
    if output_format is None:
        return render_tokens(tokens, session.clock.now())
    if output_format == "text":
        return "".join(f"{escape(token.name)}\n" for token in tokens) or "No active tokens found.\n"
    return render_items([to_plain(token) for token in tokens], output_format)
