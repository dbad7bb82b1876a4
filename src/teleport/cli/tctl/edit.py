"""`tctl edit`."""

from collections.abc import Iterator
from contextlib import contextmanager

import click

from teleport.api.messages import ResourceRequest
from teleport.api.operations import RESOURCE_UPDATE
from teleport.cli.escaping import escape
from teleport.cli.params import parsed
from teleport.cli.tctl.cluster import ApiClient, Document, ask, get_document
from teleport.cli.tctl.edit_file import EditFile
from teleport.cli.tctl.reference import Reference, parse_one
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.cli.tctl.token_name import find_token_name
from teleport.errors import BadParameter, CompareFailed, TeleportError
from teleport.resources.codec import parse_resource, parse_resources, to_plain
from teleport.resources.model import Resource
from teleport.resources.strict_yaml import render_yaml


@click.command(
    "edit",
    cls=TctlCommand,
    examples=["tctl edit token/kubernetes-token", "EDITOR=nano tctl edit token/kubernetes-token"],
)
@click.argument("reference", metavar="KIND/NAME", callback=parsed(parse_one))
@click.pass_obj
def edit(session: Session, *, reference: Reference) -> None:
    """Change a resource in an editor.

    The editor is the first that is set of TELEPORT_EDITOR, VISUAL and EDITOR, or vi. It shows the whole resource,
    a token's secret included. If the resource changes elsewhere in the meantime,
    nothing is overwritten.
    """

    async def load(client: ApiClient) -> Document:
        name = await find_token_name(client, reference.name) if reference.kind == "token" else reference.name
        return await get_document(client, reference.kind, name, with_secrets=True)

    original = ask(session, load)
    label = f'{reference.kind} "{escape(reference.name)}"'
    with EditFile(render_yaml(original)) as file:
        file.open_editor()
        if not file.is_changed():
            click.echo(f"{label} was not changed")
            return
        with _keep_on_failure(file):
            _update(session, _parse_edited(file.read(), parse_resource(original)))
    click.echo(f"{label} has been updated")


def _parse_edited(text: str, original: Resource) -> Resource:
    """Read what the editor left, at the revision that was shown in it, whatever the text says of that."""
    documents = list(parse_resources(text))
    if len(documents) != 1:
        raise BadParameter(f"the edited text holds {len(documents)} resources and not one")
    edited = documents[0]
    if (edited.kind, edited.sub_kind, edited.name) != (original.kind, original.sub_kind, original.name):
        raise BadParameter("a resource cannot be renamed; create a new one and remove the old")
    return edited.with_metadata(revision=original.metadata.revision)


def _update(session: Session, resource: Resource) -> None:
    async def work(client: ApiClient) -> None:
        await client.call(RESOURCE_UPDATE, ResourceRequest(resource=to_plain(resource)))

    ask(session, work)


@contextmanager
def _keep_on_failure(file: EditFile) -> Iterator[None]:
    """Leave the person's work where it is if it cannot be stored, and say where that is."""
    try:
        yield
    except CompareFailed as error:
        raise CompareFailed(f"the resource changed while it was edited; your text is in {file.keep()}") from error
    except TeleportError as error:
        raise TeleportError(f"{error.message}; your text is in {file.keep()}") from error
