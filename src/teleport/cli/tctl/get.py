"""`tctl get`."""

from collections.abc import Sequence
from itertools import groupby
from typing import Any

import click

from teleport.cli.output import render_items, terminal_width
from teleport.cli.params import format_option, parsed, with_secrets_option
from teleport.cli.tctl.cluster import ApiClient, Document, ask, get_document, list_documents
from teleport.cli.tctl.reference import Reference, parse_references
from teleport.cli.tctl.resource_table import render_resources
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.cli.tctl.token_name import find_token_name
from teleport.resources.codec import parse_resource
from teleport.resources.token import safe_name


@click.command(
    "get",
    cls=TctlCommand,
    examples=["tctl get tokens", "tctl get token/kubernetes-token", "tctl get nodes,apps --format=json"],
)
@click.argument("references", metavar="KIND[/NAME],...", callback=parsed(parse_references))
@format_option("yaml", "json", "text", default="yaml")
@with_secrets_option
@click.pass_obj
def get(session: Session, *, references: list[Reference], output_format: str, with_secrets: bool) -> None:
    """Print resources, all of a kind or one by its name.

    What lets somebody in is masked.
    """

    async def work(client: ApiClient) -> list[Document]:
        found = [await _load(client, reference, with_secrets=with_secrets) for reference in references]
        return [document for documents in found for document in documents]

    found = ask(session, work)
    documents = found if with_secrets else [_mask(document) for document in found]
    click.echo(_render(documents, output_format, session), nl=False)


async def _load(client: ApiClient, reference: Reference, *, with_secrets: bool) -> Sequence[Document]:
    kind, name = reference.kind, reference.name
    if not name:
        return await list_documents(client, kind, with_secrets=with_secrets)
    if kind == "token":
        name = await find_token_name(client, name)
    return [await get_document(client, kind, name, with_secrets=with_secrets)]


def _mask(document: Document) -> Document:
    if document.get("kind") != "token":
        return document
    metadata: dict[str, Any] = document["metadata"]
    name = safe_name(metadata["name"], document.get("spec", {}).get("join_method", ""))
    return {**document, "metadata": {**metadata, "name": name}}


def _render(documents: list[Document], output_format: str, session: Session) -> str:
    if output_format != "text":
        return render_items(documents, output_format)
    resources = [parse_resource(document) for document in documents]
    tables = [
        render_resources(list(group), now=session.clock.now(), width=terminal_width())
        for _, group in groupby(resources, key=lambda resource: resource.kind)
    ]
    return "\n".join(tables)
