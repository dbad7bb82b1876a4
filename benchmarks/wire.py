"""The least HTTP client that a load can be made with, so that making it costs as little as possible."""

import asyncio
import ssl

from teleport.api.identity import Identity
from teleport.api.operations import Operation
from teleport.resources.address import Address
from teleport.web.tls import build_client_context, build_unverified_client_context


def build_context(identity: Identity | None) -> ssl.SSLContext:
    """Return a context that shows the identity, or none; the load does not check whom it talks to."""
    if identity is None:
        return build_unverified_client_context()
    context = build_client_context(
        ca_pems=identity.host_ca_certificates,
        certificate_pem_chain=identity.tls_certificate,
        private_key_pem=identity.tls_key,
    )
    context.check_hostname = False
    return context


def build_request(operation: Operation, body: bytes) -> bytes:  # type: ignore[type-arg]
    """Return the bytes of a request."""
    head = f"{operation.method} {operation.path} HTTP/1.1\r\nHost: auth\r\n"
    if operation.method == "POST":
        head += f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n"
    return head.encode() + b"\r\n" + body


class Connection:
    """One TLS connection that sends requests one after another."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer
        self._turn = asyncio.Lock()
        self.retry_after = 0.0
        """In how many seconds the last answer wants the request again, if it says so."""

    async def ask(self, request: bytes) -> tuple[int, bytes]:
        """Send a request and return status and body; those who share the connection take turns."""
        async with self._turn:
            self._writer.write(request)
            head = (await self._reader.readuntil(b"\r\n\r\n")).lower()
            status = int(head[9:12])
            self.retry_after = float(head.partition(b"retry-after:")[2].partition(b"\r\n")[0] or 0)
            if b"transfer-encoding: chunked" in head:
                return status, await self._reader.readuntil(b"\r\n0\r\n\r\n")
            length = int(head.partition(b"content-length:")[2].partition(b"\r\n")[0])
            return status, await self._reader.readexactly(length)

    def close(self) -> None:
        """Close the connection."""
        self._writer.close()


async def connect(address: Address, context: ssl.SSLContext, source: str = "") -> Connection:
    """Open a connection, from a source address of 127.0.0.0/8 if one is given."""
    local = (source, 0) if source else None
    return Connection(*await asyncio.open_connection(address.host, address.port, ssl=context, local_addr=local))


async def ask_once(address: Address, context: ssl.SSLContext, request: bytes, expected: int = 200) -> bytes:
    """Open a connection, send one request, check the status, and close."""
    connection = await connect(address, context)
    status, body = await connection.ask(request)
    connection.close()
    if status != expected:
        raise SystemExit(f"the server answered {status}: {body[:200]!r}")
    return body
