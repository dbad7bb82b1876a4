"""`tctl inventory status`."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import click

from teleport.cli.escaping import escape
from teleport.cli.output import render_json, render_table
from teleport.cli.params import format_option
from teleport.cli.tctl.cluster import ask, list_instances
from teleport.cli.tctl.instance_table import NONE, render_services
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.resources.codec import to_plain
from teleport.resources.presence import Instance


@click.command("status", cls=TctlCommand, examples=["tctl inventory status", "tctl inventory status --connected"])
@click.option("--connected", is_flag=True, help="One line for each process instead of sums.")
@format_option("text", "json")
@click.pass_obj
def status(session: Session, *, connected: bool, output_format: str) -> None:
    """Count the processes that are alive, by version and service."""
    instances = ask(session, list_instances)
    if output_format == "json":
        plain: Any = [to_plain(instance) for instance in instances] if connected else _count(instances)
        click.echo(render_json(plain))
    elif connected:
        header = ("Server ID", "Services", "Version", "Upgrader")
        click.echo(render_table(header, map(_build_row, instances)), nl=False)
    else:
        click.echo(_render_counts(_count(instances)), nl=False)


def _build_row(instance: Instance) -> Sequence[str]:
    return (instance.name, render_services(instance), instance.spec.version or NONE, NONE)


def _count(instances: Sequence[Instance]) -> dict[str, Any]:
    return {
        "versions": _tally(instance.spec.version or NONE for instance in instances),
        "upgraders": _tally(NONE for _ in instances),
        "services": _tally(service.value for instance in instances for service in instance.spec.services),
        "total_instances": len(instances),
    }


def _tally(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))


def _render_counts(counts: dict[str, Any]) -> str:
    lines = []
    for group in ("versions", "upgraders", "services"):
        lines.append(f"{group.capitalize()}:")
        lines += [f"  {escape(word)}: {number}" for word, number in counts[group].items()]
    return "\n".join([*lines, f"Total Instances: {counts['total_instances']}"]) + "\n"
