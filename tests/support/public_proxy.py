"""A proxy that strangers can trust: with a web certificate of an authority that they know, and agents behind it."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.cluster import Agent, AuthServer
from support.processes import HOST, PATIENCE, Processes
from support.proxy import Proxy
from support.tls_certificates import Leaf, ThrowawayAuthority
from teleport.api.client import connect
from teleport.api.identity import Identity
from teleport.api.operations import Operation, RequestT, ResponseT
from teleport.api.way import ThroughProxy
from teleport.resources.address import Address

NAME = "localhost"
"""What the web certificate is for, and everybody calls the proxy."""


@dataclass(slots=True)
class PublicProxy:
    """A proxy on this machine, the authority of its web certificate, and what agents need to reach it."""

    processes: Processes
    folder: Path
    auth: AuthServer
    proxy_service: dict[str, Any] = field(default_factory=dict)
    teleport: dict[str, Any] = field(default_factory=dict)
    authority: ThrowawayAuthority = field(default_factory=ThrowawayAuthority.create)
    proxy: Proxy = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.ca_file.write_text(self.authority.certificate_pem)
        pair = write_pair(self.folder, self.authority.issue(NAME))
        service = {"https_keypairs": [pair], **self.proxy_service}
        self.proxy = Proxy(self.processes, self.folder / "front", self.auth, service, self.teleport)

    @property
    def ca_file(self) -> Path:
        """Return the file with the authority of the web certificate."""
        return self.folder / "web-ca.crt"

    @property
    def address(self) -> str:
        """Return the proxy's address as agents are told."""
        return f"{NAME}:{self.proxy.address.port}"

    @property
    def way(self) -> ThroughProxy:
        """Return the way to auth of one who does not look at web certificates."""
        return ThroughProxy(Address(NAME, self.proxy.address.port), is_insecure=True)

    def start(self) -> "PublicProxy":
        """Start it and wait until it passes clients on."""
        self.proxy.start()
        return self

    def make_agent(self, name: str, *flags: str, roles: str = "node", at: str = "") -> Agent:
        """Return an agent, not started, that knows the authority and is told to go through the proxy."""
        agent = Agent(
            self.processes,
            self.folder / name,
            self.auth.address,
            flags=flags,
            roles=roles,
            proxy=at or self.address,
        )
        agent.process.environment["SSL_CERT_FILE"] = str(self.ca_file)
        return agent

    def join(self, name: str, *flags: str, roles: str = "node") -> Agent:
        """Return an agent that has joined with a new token."""
        token = self.auth.add_token(roles)
        return self.make_agent(name, f"--token={token}", *flags, roles=roles).start().wait_until_ready()

    async def call(self, operation: Operation[RequestT, ResponseT], request: RequestT, identity: Identity) -> ResponseT:
        """Ask for an operation through the proxy."""
        async with connect(self.way, identity) as client:
            return await client.call(operation, request)


def write_pair(folder: Path, leaf: Leaf, name: str = "web") -> dict[str, str]:
    """Write a certificate and its key, and return the entry of `https_keypairs`."""
    paths = {"key_file": folder / f"{name}.key", "cert_file": folder / f"{name}.crt"}
    paths["key_file"].write_text(leaf.key_pem)
    paths["cert_file"].write_text(leaf.certificate_pem)
    return {key: str(path) for key, path in paths.items()}


@contextmanager
def coming_from(source: str, target: Address) -> Iterator[Address]:
    """Pass connections on that come from another address of this machine; yield where they are taken."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers = [writer]
        try:
            there = await asyncio.open_connection(target.host, target.port, local_addr=(source, 0))
            writers.append(there[1])
            await asyncio.gather(_pump(reader, there[1]), _pump(there[0], writer))
        finally:
            for each in writers:
                each.transport.abort()

    async def start() -> asyncio.Server:
        return await asyncio.start_server(serve, HOST, 0)

    async def stop() -> None:
        server.close()
        tasks = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await asyncio.sleep(0)  # the transports are told that they are over

    server = asyncio.run_coroutine_threadsafe(start(), loop).result(PATIENCE)
    try:
        yield Address(*server.sockets[0].getsockname())
    finally:
        asyncio.run_coroutine_threadsafe(stop(), loop).result(PATIENCE)
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(65536):
            writer.write(data)
            await writer.drain()
    writer.close()
