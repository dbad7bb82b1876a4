"""`tctl manifests check`."""

from collections.abc import Mapping
from typing import BinaryIO

import click

from teleport.cli.escaping import escape
from teleport.cli.input import read_text
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.errors import BadParameter
from teleport.join.catalog import build_judges
from teleport.join.method import Judge, JudgeContext
from teleport.resources.strict_yaml import MAX_BYTES, render_yaml
from teleport_operator.declaration import KIND
from teleport_operator.files.correction import NEW_NAME, correct
from teleport_operator.files.faults import find_faults, find_notes, find_problems
from teleport_operator.files.text import Document, parse_manifests


@click.command(
    "check",
    cls=TctlCommand,
    examples=[
        "tctl manifests check token.yaml",
        "helm template my-chart | tctl manifests check",
        "tctl manifests check token.yaml > corrected.yaml",
    ],
)
@click.argument("file", type=click.File("rb"), default="-")
@click.pass_obj
def check(session: Session, *, file: BinaryIO) -> None:
    """Name the faults of TeleportProvisionToken manifests, and print them corrected.

    Without FILE the standard input is read. It may hold other kinds as well, which are not looked at. Faults go to
    stderr with their lines; manifests that have some are printed as they were probably meant. No cluster is asked. The
    exit status is 1 if there is a fault.
    """
    documents = list(parse_manifests(read_text(file, MAX_BYTES)))
    if not documents:
        raise BadParameter(f"there is no manifest of kind {KIND} in the input")
    origin = getattr(file, "name", "<stdin>")
    judges = build_judges(JudgeContext(cluster_name="", clock=session.clock))
    faulty = [document for document in documents if _report(document, judges, origin)]
    corrected = [_correct(document, judges, number) for number, document in enumerate(faulty, start=1)]
    click.echo("---\n".join(corrected), nl=False)
    if faulty:
        raise BadParameter(f"there are faults in {len(faulty)} of {len(documents)} manifests of kind {KIND}")
    click.echo(f"there is no fault in {len(documents)} of {len(documents)} manifests of kind {KIND}")


def _report(document: Document, judges: Mapping[str, Judge], origin: str) -> bool:
    """Write the faults of a manifest, or what somebody should know if there are none; tell whether there are some."""
    faults = find_faults(document, judges)
    for fault in faults:
        click.echo(escape(f"{origin}:{fault.line}: {fault.problem}"), err=True)
    if not faults:
        for note in find_notes(document.raw, judges):
            click.echo(escape(f"{origin}:{document.find_line('metadata.name')}: warning: {note.message}"), err=True)
    return bool(faults)


def _correct(document: Document, judges: Mapping[str, Judge], number: int) -> str:
    """Return a manifest corrected, below comments on what only its author can decide."""
    plain = correct(document.raw, NEW_NAME if number == 1 else f"{NEW_NAME}-{number}")
    left = find_problems(plain, judges)
    return "".join(f"# left to you: {escape(str(problem))}\n" for problem in left) + render_yaml(plain)
