"""`tctl create`."""

from typing import BinaryIO

import click

from teleport.api.messages import ResourceRequest
from teleport.api.operations import RESOURCE_CREATE, RESOURCE_UPSERT
from teleport.cli.escaping import escape
from teleport.cli.input import read_text
from teleport.cli.tctl.cluster import ApiClient, ask
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.errors import BadParameter
from teleport.resources.codec import parse_resources, to_plain
from teleport.resources.model import Resource
from teleport.resources.strict_yaml import MAX_BYTES
from teleport.resources.token import Token


@click.command(
    "create",
    cls=TctlCommand,
    examples=[
        "tctl create token.yaml",
        "tctl create -f token.yaml",
        "tctl get token/kubernetes-token | tctl create -f",
    ],
)
@click.argument("file", type=click.File("rb"), default="-")
@click.option("-f", "--force", is_flag=True, help="Replace a resource that exists already.")
@click.pass_obj
def create(session: Session, *, file: BinaryIO, force: bool) -> None:
    """Create the resources of a YAML or JSON file.

    Without FILE the standard input is read. The input may hold several documents, separated by ---. Nothing is
    created if one of them cannot be read.
    """
    resources = list(parse_resources(read_text(file, MAX_BYTES)))
    if not resources:
        raise BadParameter("there is no resource in the input")
    operation = RESOURCE_UPSERT if force else RESOURCE_CREATE

    async def work(client: ApiClient) -> None:
        for resource in resources:
            await client.call(operation, ResourceRequest(resource=to_plain(resource)))
            click.echo(f"{_describe(resource)} has been created")

    ask(session, work)


def _describe(resource: Resource) -> str:
    if isinstance(resource, Token):
        return f'provision_token "{escape(resource.safe_name)}"'
    return f'{resource.kind} "{escape(resource.name)}"'
