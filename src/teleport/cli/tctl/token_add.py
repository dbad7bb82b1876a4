"""`tctl tokens add`."""

from datetime import timedelta

import click

from teleport.cli.output import render_json
from teleport.cli.params import parsed
from teleport.cli.tctl.invitation import Target, render_invitation
from teleport.cli.tctl.inviting import Order, Outcome, invite, parse_invited_roles, ttl_option
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.config.labels import parse_labels
from teleport.resources.model import render_time
from teleport.resources.role import SystemRole
from teleport.resources.strict_yaml import render_yaml


@click.command(
    "add",
    cls=TctlCommand,
    examples=[
        "tctl tokens add --type=node --ttl=5m",
        "tctl tokens add --type=app,db --labels=env=prod,team=core",
        "TOKEN=$(tctl tokens add --type=node --format=text)",
    ],
)
@click.option(
    "--type",
    "roles",
    required=True,
    callback=parsed(parse_invited_roles),
    help="Roles: app, db, discovery, kube, node, proxy, windowsdesktop; kube alone adds app,discovery.",
)
@click.option("--value", help="The token itself, better 16 characters or more; by default a random one.")
@click.option("--labels", default="", callback=parsed(parse_labels), help="Labels of the token, as env=prod,team=core.")
@ttl_option
@click.option("--app-name", default="example-app", show_default=True, help="Application in the printed command.")
@click.option("--app-uri", default="http://localhost:8080", show_default=True, help="That application's address.")
@click.option("--db-name", default="example-db", show_default=True, help="Database in the printed command.")
@click.option("--db-protocol", default="postgres", show_default=True, help="Protocol of that database.")
@click.option("--db-uri", default="localhost:5432", show_default=True, help="Address of that database.")
@click.option(
    "--format",
    "output_format",
    type=click.Choice(["text", "json", "yaml"]),
    help="text: the token alone; json, yaml: an object.",
)
@click.pass_obj
def add(
    session: Session,
    *,
    roles: tuple[SystemRole, ...],
    value: str | None,
    labels: dict[str, str],
    ttl: timedelta,
    app_name: str,
    app_uri: str,
    db_name: str,
    db_protocol: str,
    db_uri: str,
    output_format: str | None,
) -> None:
    """Make a token that invites services, and say how to use it.

    A token can be used until it expires, by as many services as know it.
    """
    outcome = invite(session, Order(roles=roles, ttl=ttl, value=value, labels=labels))
    if output_format is not None:
        click.echo(_render_token(outcome, output_format), nl=False)
        return
    app = Target(app_name, app_uri)
    database = Target(db_name, db_uri, db_protocol)
    click.echo(render_invitation(outcome.invitation, app=app, database=database), nl=False)


def _render_token(outcome: Outcome, output_format: str) -> str:
    token = outcome.token
    if output_format == "text":
        return token.name + "\n"
    expires = token.metadata.expires
    plain = {
        "token": token.name,
        "roles": [str(role) for role in token.spec.roles],
        "expires": render_time(expires) if expires else None,
    }
    return render_json(plain, indent=1) if output_format == "json" else render_yaml(plain)
