"""`tctl inventory ls`."""

import re

import click

from teleport.cli.output import render_items
from teleport.cli.params import format_option, parsed
from teleport.cli.tctl.cluster import ask, list_instances
from teleport.cli.tctl.instance_table import render_instances
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.errors import BadParameter
from teleport.resources.codec import to_plain
from teleport.resources.presence import Instance
from teleport.resources.role import SystemRole, parse_roles

Version = tuple[int, int, int, bool]
"""Major, minor, patch, and whether it is a release: what comes before a release sorts before it."""

_VERSION = re.compile(r"v?(\d{1,6})\.(\d{1,6})\.(\d{1,6})(-[0-9A-Za-z.-]{1,64})?(\+[0-9A-Za-z.-]{1,64})?")


def parse_version(text: str) -> Version:
    """Read a semantic version, as 18.7.3 or v18.7.3.

    Raises:
        BadParameter: it is none.
    """
    match = _VERSION.fullmatch(text.strip())
    if match is None:
        raise BadParameter(f"{text[:64]!r} is not a version; write it like 18.7.3")
    major, minor, patch, before, _ = match.groups()
    return int(major), int(minor), int(patch), before is None


@click.command(
    "ls",
    cls=TctlCommand,
    examples=["tctl inventory ls", "tctl inventory ls --older-than=1.2.0", "tctl inventory ls --services=node,app"],
)
@click.option("--older-than", callback=parsed(parse_version), help="Only processes of an older version.")
@click.option("--newer-than", callback=parsed(parse_version), help="Only processes of a newer version.")
@click.option("--exact-version", callback=parsed(parse_version), help="Only processes of this version.")
@click.option("--services", callback=parsed(parse_roles), help="Only processes that run all of these, as node,app.")
@format_option("text", "json")
@click.pass_obj
def list_all(
    session: Session,
    *,
    older_than: Version | None,
    newer_than: Version | None,
    exact_version: Version | None,
    services: tuple[SystemRole, ...] | None,
    output_format: str,
) -> None:
    """List the processes that have joined and are alive."""

    def is_wanted(instance: Instance) -> bool:
        if not set(services or ()) <= set(instance.spec.services):
            return False
        if older_than is newer_than is exact_version is None:
            return True
        version = _read_version(instance)
        return version is not None and (
            (older_than is None or version < older_than)
            and (newer_than is None or version > newer_than)
            and (exact_version is None or version == exact_version)
        )

    found = [instance for instance in ask(session, list_instances) if is_wanted(instance)]
    if output_format == "text":
        click.echo(render_instances(found), nl=False)
    else:
        click.echo(render_items([to_plain(instance) for instance in found], output_format), nl=False)


def _read_version(instance: Instance) -> Version | None:
    try:
        return parse_version(instance.spec.version)
    except BadParameter:
        return None  # a process that does not say its version is in no range of versions
