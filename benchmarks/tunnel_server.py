"""The accepting side of tunnels alone: it answers streams, counts what they bring, and counts over TLS alone, too."""

import asyncio
import sys
from typing import cast

import uvloop

from teleport.tunnel.preface import PrefaceProtocol
from teleport.tunnel.session import Session
from teleport.web.tls import build_server_context

ANSWER = bytes(1024)


class Answering(asyncio.Protocol):
    """Answers what comes by a kibibyte when it has ended."""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast("asyncio.Transport", transport)

    def eof_received(self) -> bool:
        """Answer, and be done."""
        self._transport.write(ANSWER)
        return False


class Counting(Answering):
    """Answers when so many bytes have come as the first eight of them say."""

    def __init__(self) -> None:
        self._head = b""
        self._count = 0

    def data_received(self, data: bytes) -> None:
        """Count, and answer at the end."""
        self._head = (self._head + data[:8])[:8]
        self._count += len(data)
        if len(self._head) == len(b"12345678") and self._count >= int.from_bytes(self._head, "big"):
            self._transport.write(ANSWER)
            self._transport.close()


async def main(tunnel_port: int, raw_port: int, certificate: str, key: str) -> None:
    """Serve both ports until the process is ended."""
    context = build_server_context(certificate_pem_chain=certificate, private_key_pem=key, client_ca_pems=[])
    loop = asyncio.get_running_loop()

    def accept(_: object) -> asyncio.Protocol:
        return PrefaceProtocol(lambda document, _: Counting() if document["to"] == "bulk" else Answering())

    await loop.create_server(
        lambda: Session(is_dialer=False, accept=accept), "127.0.0.1", tunnel_port, ssl=context, backlog=2048
    )
    raw = await loop.create_server(Counting, "127.0.0.1", raw_port, ssl=context)
    await raw.serve_forever()


if __name__ == "__main__":
    pems = [open(path, encoding="ascii").read() for path in sys.argv[3:5]]  # noqa: PTH123, SIM115 - two small files
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2]), *pems))
