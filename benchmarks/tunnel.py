"""What a tunnel costs: short streams, one that carries much as a ratio of TLS alone, and idle sessions' memory."""

import asyncio
import ssl
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import cast

import uvloop

from harness import Cost, free_port, measure, pin_load, pinned_process, progress, report, rss_mib, wait_for_port
from support.tls_certificates import ThrowawayAuthority
from teleport.tunnel.limits import TunnelLimits
from teleport.tunnel.preface import render_preface
from teleport.tunnel.session import Session
from teleport.web.tls import build_unverified_client_context

SMALL = 20_000
WORKERS = 32
BULK = 256 * 1024 * 1024
PIECE = bytes(64 * 1024)
WARM_UP = 50
LIMITS = TunnelLimits(window=1024 * 1024)


class Sending(asyncio.Protocol):
    """Sends so many bytes as fast as the transport takes them, and waits for the answer."""

    def __init__(self, count: int) -> None:
        self._left = count
        self._head = count.to_bytes(8, "big")
        self._paused = False
        self.answered = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Begin in the loop's next turn."""
        self._transport = cast("asyncio.Transport", transport)
        asyncio.get_running_loop().call_soon(self._send)

    def pause_writing(self) -> None:
        """Wait."""
        self._paused = True

    def resume_writing(self) -> None:
        """Go on."""
        self._paused = False
        asyncio.get_running_loop().call_soon(self._send)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that everything has come."""
        if not self.answered.done():
            self.answered.set_result(exc)

    def _send(self) -> None:
        while self._left > 0 and not self._paused:
            self._transport.write(self._head + PIECE[len(self._head) :])
            self._head = b""
            self._left -= len(PIECE)


class Asking(asyncio.Protocol):
    """Waits until an answer is complete."""

    def __init__(self) -> None:
        self.size = 0
        self.done = asyncio.get_running_loop().create_future()

    def data_received(self, data: bytes) -> None:
        """Count."""
        self.size += len(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """Tell that it is over."""
        if not self.done.done():
            self.done.set_result(exc)


@contextmanager
def tunnel_server() -> Iterator[tuple[int, int, int]]:
    """Run the other side for the time of a block, and give its process and its two ports."""
    pin_load()
    leaf = ThrowawayAuthority.create().issue()
    with tempfile.TemporaryDirectory(prefix="tunnel-bench-") as path:
        root = Path(path)
        (root / "cert").write_text(leaf.certificate_pem, encoding="ascii")
        (root / "key").write_text(leaf.key_pem, encoding="ascii")
        ports = free_port(), free_port()
        script = str(Path(__file__).with_name("tunnel_server.py"))
        command = [sys.executable, script, *map(str, ports), str(root / "cert"), str(root / "key")]
        with pinned_process(command, root / "log") as process:
            wait_for_port(ports[1], process, root / "log")
            yield process.pid, *ports


async def dial(port: int, context: ssl.SSLContext) -> Session:
    """Open a tunnel."""
    loop = asyncio.get_running_loop()
    _, session = await loop.create_connection(
        lambda: Session(is_dialer=True, limits=LIMITS), "127.0.0.1", port, ssl=context
    )
    return session


async def ask(session: Session) -> None:
    """Open a stream, send 300 bytes, and take the kibibyte that comes back."""
    asking = Asking()
    stream = await session.open(render_preface({"to": "small"}) + bytes(300), lambda: asking)
    stream.write_eof()
    await asking.done
    if asking.size != 1024:
        raise SystemExit(f"an answer has {asking.size} bytes: {asking.done.result()}")


async def measure_bulk(pid: int, port: int, context: ssl.SSLContext, session: Session | None) -> Cost:
    """Send much over TLS alone, or over a stream of the session."""

    async def send(_: int) -> None:
        sending = Sending(BULK)
        if session is not None:
            await session.open(render_preface({"to": "bulk"}), lambda: sending)
        else:
            await asyncio.get_running_loop().create_connection(lambda: sending, "127.0.0.1", port, ssl=context)
        await sending.answered

    return await measure(pid, range(2), send, workers=1)


async def main(count: int) -> None:
    """Print all figures."""
    context = build_unverified_client_context()
    with tunnel_server() as (pid, port, raw_port):
        session = await dial(port, context)
        await measure(pid, range(500), lambda _: ask(session), workers=WORKERS)
        small = await measure(pid, range(SMALL), lambda _: ask(session), workers=WORKERS)
        report("short streams over one session, one core", f"{small.rate:.0f}/s")
        report("  the accepting side's CPU each", f"{small.cpu_ms * 1000:.0f} us")
        raw = await measure_bulk(pid, raw_port, context, None)
        tunnel = await measure_bulk(pid, port, context, session)
        size = 2 * BULK / 2**20
        report("one stream, of TLS alone in the same run", f"x{raw.seconds / tunnel.seconds:.2f}")
        report("  MiB a second, and of TLS alone", f"{size / tunnel.seconds:.0f}, {size / raw.seconds:.0f}")
        report("  the accepting side's CPU, of TLS alone's", f"x{tunnel.cpu_seconds / raw.cpu_seconds:.2f}")
        progress(f"opening {count} sessions")
        sessions = [await dial(port, context) for _ in range(WARM_UP)]
        before = rss_mib(pid)
        sessions += [await dial(port, context) for _ in range(count)]
        report(f"memory of an idle session, of {count}", f"{(rss_mib(pid) - before) / count * 1024:.1f} KiB")
        for one in (session, *sessions):
            one.abort()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000))
