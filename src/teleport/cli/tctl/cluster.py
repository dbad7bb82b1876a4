"""What the commands ask of the cluster, in their own words."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from typing import Any, Protocol, TypeVar

from teleport.api.messages import (
    DeleteRequest,
    Empty,
    GetRequest,
    ListRequest,
    PingResponse,
    TrustBundle,
    TrustBundleRequest,
)
from teleport.api.operations import (
    PING,
    RESOURCE_DELETE,
    RESOURCE_GET,
    RESOURCE_LIST,
    TRUST_BUNDLE,
    Operation,
    RequestT,
    ResponseT,
)
from teleport.cli.connection import open_admin_client
from teleport.cli.tctl.session import Session
from teleport.errors import ConnectionFailed
from teleport.pki.pins import ca_pin
from teleport.resources.authority import AuthorityType, CertAuthority
from teleport.resources.model import parse_model
from teleport.resources.presence import Instance, Server
from teleport.resources.token import Token

Document = dict[str, Any]
T = TypeVar("T")


class ApiClient(Protocol):
    """Somebody who may ask the cluster."""

    async def call(self, operation: Operation[RequestT, ResponseT], request: RequestT) -> ResponseT:
        """Ask for one operation."""
        ...


def ask(session: Session, work: Callable[[ApiClient], Awaitable[T]]) -> T:
    """Reach the cluster, do the work there, and return what it returns.

    Raises:
        TeleportError: the cluster is not found, does not answer, or refuses.
    """

    async def reach() -> T:
        async with _open(session) as client:
            return await work(client)

    return asyncio.run(reach())


def _open(session: Session) -> AbstractAsyncContextManager[ApiClient]:
    return (session.opener or open_admin_client)(session.flags)


async def ping(client: ApiClient) -> PingResponse:
    """Return who answers, and where the cluster can be reached."""
    return await client.call(PING, Empty())


async def list_documents(client: ApiClient, kind: str, *, with_secrets: bool = False) -> list[Document]:
    """Return all resources of a kind as the cluster wrote them."""
    documents: list[Document] = []
    page_token = ""
    while True:
        request = ListRequest(kind=kind, with_secrets=with_secrets, page_token=page_token)
        page = await client.call(RESOURCE_LIST, request)
        documents.extend(page.resources)
        if not page.next_page_token:
            return documents
        if page.next_page_token == page_token:
            raise ConnectionFailed(f"the server gave the same page of {kind} twice")
        page_token = page.next_page_token


async def list_tokens(client: ApiClient, *, with_secrets: bool = False) -> list[Token]:
    """Return all tokens."""
    documents = await list_documents(client, "token", with_secrets=with_secrets)
    return [parse_model(Token, document, "token") for document in documents]


async def list_servers(client: ApiClient, kind: str) -> list[Server]:
    """Return the heartbeat records of a kind, by host name."""
    servers = [parse_model(Server, document, kind) for document in await list_documents(client, kind)]
    return sorted(servers, key=lambda server: (server.spec.hostname, server.name))


async def list_instances(client: ApiClient) -> list[Instance]:
    """Return the records of joined processes, by host id."""
    documents = await list_documents(client, "instance")
    return sorted((parse_model(Instance, document, "instance") for document in documents), key=lambda each: each.name)


async def list_authorities(client: ApiClient) -> dict[AuthorityType, CertAuthority]:
    """Return the certificate authorities by what they sign for."""
    documents = await list_documents(client, "cert_authority")
    authorities = [parse_model(CertAuthority, document, "cert_authority") for document in documents]
    return {authority.type: authority for authority in authorities}


async def get_document(client: ApiClient, kind: str, name: str, *, with_secrets: bool = False) -> Document:
    """Return one resource as the cluster wrote it."""
    response = await client.call(RESOURCE_GET, GetRequest(kind=kind, name=name, with_secrets=with_secrets))
    return response.resource


async def delete(client: ApiClient, kind: str, name: str) -> None:
    """Delete one resource."""
    await client.call(RESOURCE_DELETE, DeleteRequest(kind=kind, name=name))


async def get_trust_bundle(client: ApiClient) -> TrustBundle:
    """Return everything that the cluster trusts."""
    response = await client.call(TRUST_BUNDLE, TrustBundleRequest())
    if response.bundle is None:
        raise ConnectionFailed("the server gave no trust bundle")
    return response.bundle


def build_ca_pins(bundle: TrustBundle) -> tuple[str, ...]:
    """Return one pin for each certificate of the host CA: during a rotation there are two."""
    return tuple(ca_pin(certificate) for certificate in bundle.tls.get(AuthorityType.HOST, ()))
