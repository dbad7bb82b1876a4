"""TLS inside, WebSockets and relays over a connection without a socket."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import timedelta

import pytest
from websockets.frames import Frame, Opcode

from support.tls_certificates import ThrowawayAuthority
from support.tunnels import Heard, PipeEnd, build_pipe, build_tunnel, settle
from teleport.errors import ConnectionFailed, TrustError
from teleport.tunnel.errors import TunnelClosed
from teleport.tunnel.inner_tls import InnerTls
from teleport.tunnel.preface import PrefaceProtocol, render_preface
from teleport.tunnel.relay import Relay
from teleport.tunnel.session import Session
from teleport.tunnel.websocket import MAX_MESSAGE, WebSocketClient, WebSocketServer, render_upgrade
from teleport.web.tls import build_client_context, build_server_context

AUTHORITY = ThrowawayAuthority.create()
LEAF = AUTHORITY.issue()
SERVER = build_server_context(
    certificate_pem_chain=LEAF.certificate_pem,
    private_key_pem=LEAF.key_pem,
    client_ca_pems=[AUTHORITY.certificate_pem],
)
CLIENT = build_client_context(
    ca_pems=[AUTHORITY.certificate_pem], certificate_pem_chain=LEAF.certificate_pem, private_key_pem=LEAF.key_pem
)
Factory = Callable[[], asyncio.Protocol]


def build_tls(client: Factory, server: Factory, context: ssl.SSLContext = CLIENT) -> tuple[InnerTls, InnerTls]:
    """Return the protocols of a TLS client and a TLS server."""
    return (
        InnerTls(context=context, server_side=False, server_hostname="localhost", protocol_factory=client),
        InnerTls(context=SERVER, server_side=True, protocol_factory=server),
    )


def join_tls(near: Heard, far: Heard, piece: int = 1 << 20) -> tuple[InnerTls, InnerTls, PipeEnd, PipeEnd]:
    """Let a TLS session begin over a pipe."""
    client, server = build_tls(lambda: near, lambda: far)
    one, other = build_pipe(piece)
    other.connect(server)
    one.connect(client)
    return client, server, one, other


@pytest.mark.parametrize("piece", [1, 100, 1 << 20])
async def test_tls_inside_carries_bytes_and_tells_who_the_peer_is(piece: int) -> None:
    near, far = Heard(), Heard(echoes=True)
    client, server, *_ = join_tls(near, far, piece)
    transport = await client.established()
    transport.write(b"hello")
    transport.write_eof()
    await settle()
    assert near.data == far.data == b"hello"
    assert near.events == ["made", "eof", "lost"]
    assert far.events == ["made", "eof", "lost"]
    assert server.get_extra_info("peercert")["subject"]
    assert transport.get_extra_info("ssl_object").version() == "TLSv1.3"
    assert transport.get_extra_info("peername") == ("192.0.2.1", 1)


async def test_tls_inside_ends_one_direction_before_the_other() -> None:
    near, far = Heard(keeps_open=True), Heard(keeps_open=True)
    client, server, *_ = join_tls(near, far)
    (await server.established()).write_eof()
    await settle()
    assert near.events == ["made", "eof"]
    (await client.established()).write(bytes(100_000))
    await settle()
    assert far.data == bytes(100_000)


async def test_tls_inside_ends_a_direction_while_bytes_wait_to_be_read() -> None:
    near, far = Heard(keeps_open=True), Heard(keeps_open=True)
    client, server, *_ = join_tls(near, far)
    server_side = await server.established()
    await client.established()
    server_side.pause_reading()
    client.write(bytes(50_000))
    await settle()
    server_side.write_eof()
    server_side.resume_reading()
    client.write(b"more")
    await settle()
    assert far.data == bytes(50_000) + b"more"


async def test_bytes_cut_off_without_close_notify_are_an_error() -> None:
    near, far = Heard(), Heard()
    client, server, one, _ = join_tls(near, far)
    await client.established()
    await server.established()
    one.write_eof()
    await settle()
    assert isinstance(far.error, ConnectionFailed)


async def test_a_server_of_another_authority_is_not_trusted() -> None:
    stranger = build_client_context(ca_pems=[ThrowawayAuthority.create().certificate_pem])
    near, far = Heard(), Heard()
    client, server = build_tls(lambda: near, lambda: far, stranger)
    one, other = build_pipe()
    other.connect(server)
    one.connect(client)
    for side in (client, server):
        with pytest.raises(TrustError):
            await side.established()
    await settle()
    assert near.events == far.events == []


async def test_a_handshake_that_takes_too_long_is_cut() -> None:
    late = InnerTls(
        context=SERVER, server_side=True, protocol_factory=Heard, handshake_timeout=timedelta(milliseconds=10)
    )
    one, other = build_pipe()
    other.connect(late)
    one.connect(Heard())
    with pytest.raises(ConnectionFailed, match="longer"):
        await late.established()


async def test_tls_inside_a_stream_of_a_tunnel_passes_pressure_on() -> None:
    near, far = Heard(), Heard()
    client, server = build_tls(lambda: near, lambda: far)
    dialer, other = build_tunnel(lambda _: PrefaceProtocol(lambda _document, _stream: server))
    await dialer.open(render_preface({"to": "auth"}), lambda: client)
    transport = await client.established()
    (await server.established()).pause_reading()
    transport.write(bytes(1_000_000))
    await settle()
    assert near.events == ["made", "pause"]
    assert other._multiplexer.unread <= 256 * 1024
    server.resume_reading()
    await settle(200)
    assert far.data == bytes(1_000_000)
    assert near.events == ["made", "pause", "resume"]


def join_websocket(near: Factory, far: Factory, piece: int = 1 << 20) -> tuple[WebSocketClient, WebSocketServer]:
    """Let a WebSocket begin over a pipe."""
    client = WebSocketClient(host="proxy.example.com", path="/v1/webapi/connect/tunnel", protocol_factory=near)
    server = WebSocketServer(protocol_factory=far)
    one, other = build_pipe(piece)
    other.connect(server)
    one.connect(client)
    return client, server


@pytest.mark.parametrize("piece", [1, 1000, 1 << 20])
async def test_a_websocket_carries_bytes_both_ways(piece: int) -> None:
    near, far = Heard(), Heard(echoes=True)
    client, _ = join_websocket(lambda: near, lambda: far, piece)
    transport = await client.established()
    transport.write(bytes(70_000))
    await settle()
    assert near.data == far.data == bytes(70_000)
    transport.close()
    await settle()
    assert near.events == far.events == ["made", "lost"]
    assert near.error is far.error is None


async def test_a_tunnel_runs_in_tls_in_a_websocket() -> None:
    heard = Heard(echoes=True)
    dialer = Session(is_dialer=True, accept=lambda _: PrefaceProtocol(lambda _document, _stream: heard))
    other = Session(is_dialer=False)
    client, server = build_tls(lambda: dialer, lambda: other)
    join_websocket(lambda: client, lambda: server)
    await server.established()
    near = Heard()
    stream = await other.open(render_preface({"to": "app"}), lambda: near)
    stream.write(bytes(500_000))
    stream.write_eof()
    await settle(300)
    assert near.data == bytes(500_000)
    assert stream.get_extra_info("ssl_object").version() == "TLSv1.3"
    dialer.close()
    await settle()
    assert dialer.error is other.error is None


@pytest.mark.parametrize(
    ("frame", "code"),
    [
        (Frame(Opcode.TEXT, b"text"), 1003),
        (Frame(Opcode.BINARY, bytes(MAX_MESSAGE + 1)), 1009),
        (Frame(Opcode.CONT, b"of nothing"), 1002),
    ],
)
async def test_a_websocket_refuses_text_and_what_is_too_large(frame: Frame, code: int) -> None:
    near, far = Heard(), Heard()
    client, server = join_websocket(lambda: near, lambda: far)
    await client.established()
    client.outer.write(frame.serialize(mask=True))
    await settle()
    assert client._peer.close_rcvd is not None
    assert client._peer.close_rcvd.code == code
    assert far.data == b""
    assert isinstance(far.error, ConnectionFailed)
    assert server.is_closing


async def test_a_websocket_takes_the_largest_message() -> None:
    far = Heard()
    client, _ = join_websocket(Heard, lambda: far)
    await client.established()
    client.outer.write(Frame(Opcode.BINARY, bytes(MAX_MESSAGE)).serialize(mask=True))
    await settle()
    assert len(far.data) == MAX_MESSAGE


async def test_a_request_that_is_no_upgrade_is_answered_and_refused() -> None:
    peer, server = Heard(), WebSocketServer(protocol_factory=Heard)
    one, other = build_pipe()
    one.connect(peer)
    other.connect(server)
    one.write(render_upgrade("/v1/webapi/connect/tunnel", [("Host", "proxy.example.com")]))
    with pytest.raises(ConnectionFailed):
        await server.established()
    await settle()
    assert peer.data.startswith(b"HTTP/1.1 426")


def join_relay(
    timeout: timedelta = timedelta(minutes=1), *, keeps_open: bool = False
) -> tuple[Relay, Heard, Heard, PipeEnd, PipeEnd]:
    """Put a relay between two peers, of which the right one is not there yet."""
    relay = Relay(idle_timeout=timeout)
    left, right = Heard(keeps_open=keeps_open), Heard(keeps_open=keeps_open)
    one, one_inside = build_pipe()
    two, two_inside = build_pipe()
    one.connect(left)
    two.connect(right)
    one_inside.connect(relay.left)
    return relay, left, right, one, two_inside


async def test_a_relay_joins_two_sides_and_counts() -> None:
    relay, left, right, one, inside = join_relay(keeps_open=True)
    one.write(b"early")
    await settle()
    inside.connect(relay.right)
    await settle()
    right.transport.write(b"back")
    await settle()
    assert (right.data, left.data) == (b"early", b"back")
    assert (relay.bytes_from_left, relay.bytes_from_right) == (5, 4)
    one.write_eof()
    await settle()
    assert right.events == ["made", "eof"]
    right.transport.write(b" and more")
    right.transport.close()
    await relay.ended()
    await settle()
    assert left.data == b"back and more"
    assert relay.error is None


async def test_a_relay_that_stands_still_is_cut() -> None:
    relay, _, right, _, inside = join_relay(timedelta(milliseconds=10))
    inside.connect(relay.right)
    await relay.ended()
    await settle()
    assert isinstance(relay.error, TunnelClosed)
    assert "lost" in right.events


async def test_a_side_that_leaves_before_the_other_came_ends_the_relay() -> None:
    relay, _, right, one, inside = join_relay()
    one.close()
    relay.left.connection_lost(None)
    await relay.ended()
    inside.connect(relay.right)
    await settle()
    assert "lost" in right.events
