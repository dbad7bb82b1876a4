"""TCP applications: bytes through proxy, tunnel and agent, for a user who shows a certificate."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import pytest

from support.app_chain import BROWSER, HOST, Chain
from support.auth import ADMIN, to_der
from teleport.api import operations as ops
from teleport.api.joined import generate_keys
from teleport.api.messages import UserCertificatesRequest
from teleport.api.people import UserInviteRequest
from teleport.config.settings import Target
from teleport.proxy.applications.sessions import FRESH
from teleport.web.call import Peer


@asynccontextmanager
async def run_echo() -> AsyncIterator[int]:
    """Run an application that speaks first, and then repeats what it hears, until the other side ends."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"welcome\n")
        with suppress(ConnectionError):
            while data := await reader.read(4096):
                writer.write(data.upper())
            writer.write(b"BYE\n")
            await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, HOST, 0)
    async with server:
        yield server.sockets[0].getsockname()[1]


async def certify(chain: Chain, user: str, *roles: str) -> bytes:
    invitation = UserInviteRequest(user=user, roles=roles)
    await chain.auth.people.table[ops.USER_INVITE](invitation, ADMIN)
    keys = generate_keys().build_public_keys("user")
    request = UserCertificatesRequest(user=user, roles=roles, keys=keys, ttl_seconds=3600)
    issued = await chain.auth.issuing.issue_user(request, ADMIN)
    return to_der(issued.tls_certificate)


@asynccontextmanager
async def connect(
    chain: Chain, app: str, certificate: bytes | None
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    def accept() -> asyncio.Protocol:
        return chain.applications.connect(app, Peer(BROWSER, certificate), lambda: None)

    server = await asyncio.get_running_loop().create_server(accept, HOST, 0)
    reader, writer = await asyncio.open_connection(HOST, server.sockets[0].getsockname()[1])
    try:
        yield reader, writer
    finally:
        writer.close()
        server.close()


async def test_bytes_pass_both_ways_and_each_side_ends_by_itself(chain: Chain) -> None:
    async with run_echo() as port:
        await chain.add_agent(Target("db", uri=f"tcp://{HOST}:{port}"))
        async with connect(chain, "db", await certify(chain, "alice", "access")) as (reader, writer):
            assert await reader.readline() == b"welcome\n"
            writer.write(b"hello\n")
            assert await reader.readline() == b"HELLO\n"
            writer.write_eof()
            assert await reader.read() == b"BYE\n"


@pytest.mark.parametrize("app", ["db", "nothing", ""])
async def test_who_may_not_open_it_is_cut(chain: Chain, app: str) -> None:
    async with run_echo() as port:
        await chain.add_agent(Target("db", uri=f"tcp://{HOST}:{port}"))
        for certificate in (None, await certify(chain, "mallory", "auditor")):
            async with connect(chain, app, certificate) as (reader, _):
                with suppress(ConnectionError):
                    assert await reader.read() == b""


async def test_an_application_that_speaks_http_is_not_opened_past_the_judgement_of_requests(chain: Chain) -> None:
    async with run_echo() as port:
        await chain.add_agent(Target("web", uri=f"http://{HOST}:{port}"))
        async with connect(chain, "web", await certify(chain, "alice", "access")) as (reader, _):
            with suppress(ConnectionError):
                assert await reader.read() == b""


async def test_many_openings_are_one_event_and_a_certificate_is_judged_anew(chain: Chain) -> None:
    async with run_echo() as port:
        await chain.add_agent(Target("db", uri=f"tcp://{HOST}:{port}"))
        certificate = await certify(chain, "alice", "access")
        for _ in range(3):
            async with connect(chain, "db", certificate) as (reader, _):
                assert await reader.readline() == b"welcome\n"
            chain.auth.clock.advance(FRESH)
    assert len(await chain.auth.list_events("app.session.start")) == 1
    assert chain.client.calls.count(ops.APP_SESSION.name) == 3
