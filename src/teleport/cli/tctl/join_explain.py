"""`tctl join explain`."""

from typing import Any, BinaryIO

import click

from teleport.cli.input import read_text
from teleport.cli.params import format_option, parsed
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.resources.role import SystemRole, parse_role
from teleport.resources.strict_yaml import MAX_BYTES

MAX_TOKEN_FILE = 64 * 1024


class _SecretFile(click.File):
    """A file whose name is not repeated where there is none: it may be the secret itself, given by mistake."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:  # noqa: ANN401 - click's signature
        """Return the open file."""
        try:
            return super().convert(value, param, ctx)
        except click.BadParameter as error:
            message = "there is no file of this name that can be read; what is wanted is a file, and not the token"
            raise click.BadParameter(message, ctx, param) from error


@click.command(
    "explain",
    cls=TctlCommand,
    examples=[
        "kubectl exec POD -- cat /var/run/secrets/teleport/token | tctl join explain --token-file=-",
        "tctl join explain --token-file=pod-token --token=kubernetes-token --role=app",
        "tctl join explain --token-file=pod-token -f token.yaml --cluster-name=example.com",
    ],
)
@click.option("--token-file", required=True, type=_SecretFile("rb"), help="The pod's ServiceAccount token; - is stdin.")
@click.option("--token", "name", help="Look at the token resource of this name alone.")
@click.option("--role", callback=parsed(parse_role), help="The role that the pod asks for; without it any is allowed.")
@click.option(
    "--api-audience",
    "api_audiences",
    multiple=True,
    help="An audience of the API server; by default it is guessed from the token. Can be repeated.",
)
@click.option("-f", "--file", "rules", type=click.File("rb"), help="Token resources to look at instead of auth's.")
@click.option("--cluster-name", help="Name of the cluster; goes with --file.")
@format_option("text", "json", "yaml")
@click.pass_context
def explain_join(
    ctx: click.Context,
    *,
    token_file: BinaryIO,
    name: str | None,
    role: SystemRole | None,
    api_audiences: tuple[str, ...],
    rules: BinaryIO | None,
    cluster_name: str | None,
    output_format: str,
) -> None:
    """Tell which token resources would admit a pod, and for each that would not, why, and what to write.

    The pod's token is never shown and never sent anywhere. It is not verified: whether it is genuine, the join itself
    shows. The exit status is 0 if a token resource would admit the pod, 1 if none would.
    """
    from teleport.cli.tctl.join_explaining import Query, explain  # noqa: PLC0415 - `--help` does not wait for it

    if (rules is None) != (cluster_name is None):
        raise click.UsageError("--file and --cluster-name go together", ctx)
    query = Query(
        proof=read_text(token_file, MAX_TOKEN_FILE).strip(),
        name=name,
        role=role,
        api_audiences=api_audiences,
        rules=read_text(rules, MAX_BYTES) if rules is not None else None,
        cluster_name=cluster_name or "",
    )
    answer = explain(ctx.ensure_object(Session), query)
    click.echo(answer.render(output_format), nl=False)
    ctx.exit(0 if answer.is_admitted else 1)
