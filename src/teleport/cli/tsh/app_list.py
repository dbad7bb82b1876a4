"""`tsh apps ls`."""

from collections.abc import Sequence
from typing import Any

import click

from teleport.cli.output import fit_rows, render_items, render_table, terminal_width
from teleport.cli.params import format_option, parsed
from teleport.cli.searching import is_found, join_labels, parse_search
from teleport.cli.tsh.application import Application, load_applications
from teleport.cli.tsh.cluster import ask
from teleport.cli.tsh.session import Session, TshCommand
from teleport.config.labels import parse_labels

HEADER = ("Application", "Description", "Type", "Public Address", "Labels")
VERBOSE_HEADER = ("Application", "Description", "Type", "URI", "Public Address", "Labels")


@click.command(
    "ls",
    cls=TshCommand,
    examples=["tsh apps ls", "tsh apps ls env=prod -v", "tsh apps ls --search=grafana --format=json"],
)
@click.argument("labels", default="", callback=parsed(parse_labels))
@click.option("-v", "--verbose", is_flag=True, help="Show where they are for their agents, and cut nothing.")
@click.option("--search", default="", callback=parsed(parse_search), help="Only those that have all of these words.")
@format_option("text", "json", "yaml", "names")
@click.pass_obj
def list_apps(
    session: Session, *, labels: dict[str, str], verbose: bool, search: list[str], output_format: str
) -> None:
    """List the applications that you may open.

    LABELS, as env=prod,team=core, leave only those that have them all.
    """
    found = [each for each in ask(session, load_applications) if is_found(each.info.labels, each.texts, labels, search)]
    if output_format == "names":
        click.echo("".join(f"{each.name}\n" for each in found), nl=False)
    elif output_format == "text":
        click.echo(render_applications(found, is_verbose=verbose, width=terminal_width()), nl=False)
    else:
        click.echo(render_items([describe_application(each) for each in found], output_format), nl=False)


def render_applications(applications: Sequence[Application], *, is_verbose: bool, width: int | None) -> str:
    """Return the table of applications, its labels cut to a terminal's width if one is given, unless all is wanted."""
    header = VERBOSE_HEADER if is_verbose else HEADER
    rows = [_build_row(each, is_verbose=is_verbose) for each in applications]
    if is_verbose or width is None:
        return render_table(header, rows)
    return render_table(header, fit_rows(header, rows, cut=len(header) - 1, width=width))


def describe_application(application: Application) -> dict[str, Any]:
    """Return an application for programs."""
    info = application.info
    return {
        "name": info.name,
        "description": info.description,
        "type": application.kind,
        "uri": info.uri,
        "public_addr": application.host,
        "url": application.url,
        "labels": dict(info.labels),
    }


def _build_row(application: Application, *, is_verbose: bool) -> tuple[str, ...]:
    info = application.info
    uri = (info.uri,) if is_verbose else ()
    return (info.name, info.description, application.kind, *uri, application.host, join_labels(info.labels))
