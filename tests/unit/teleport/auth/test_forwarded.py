"""Both ends of a proxy's session without a socket; the TLS inside is real."""

import asyncio
import ssl
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from support.tls_certificates import Leaf, ThrowawayAuthority
from support.tunnels import Heard, build_pipe, settle
from teleport.api.forwarding import build_auth_preface
from teleport.auth.access import Caller, CallerKind
from teleport.auth.forwarded import ForwardedConnections
from teleport.errors import MembershipEnded, TeleportError
from teleport.resources.role import SystemRole
from teleport.tunnel.inner_tls import InnerTls
from teleport.tunnel.layer import LayerTransport
from teleport.tunnel.preface import render_preface
from teleport.tunnel.session import Session
from teleport.web.admissions import Admissions
from teleport.web.call import Peer
from teleport.web.metrics import Metrics
from teleport.web.tls import ALPN, build_client_context, build_server_context

POD = "6c2b3d7e-2f7b-4f52-a3f5-3b9a3f0b4c11"
PROXY = Caller(CallerKind.HOST, "host", frozenset({SystemRole.PROXY}))
ADDRESS = "192.0.2.1"


class Inside:
    """What runs inside connections: it keeps who came."""

    def __init__(self) -> None:
        self.peers: list[Peer] = []

    def connect(self, peer: Peer, on_closed: Callable[[], None]) -> asyncio.Protocol:
        self.peers.append(peer)
        return _Held(on_closed)

    async def shutdown(self, grace: timedelta) -> None:
        raise AssertionError(grace)


class _Held(Heard):
    def __init__(self, on_closed: Callable[[], None]) -> None:
        super().__init__(echoes=True)
        self._on_closed = on_closed

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._on_closed()


class Auth:
    """The service under test, and a proxy that talks to it."""

    def __init__(self, caller: Caller | None = PROXY, *, max_connections: int = 100) -> None:
        self.authority = ThrowawayAuthority.create()
        self.inside = Inside()
        self.registry = CollectorRegistry()
        self.welcome = True
        self.ended_pods: set[str] = set()
        leaf = self.authority.issue()
        context = build_server_context(
            certificate_pem_chain=leaf.certificate_pem,
            private_key_pem=leaf.key_pem,
            client_ca_pems=[self.authority.certificate_pem],
            protocols=(ALPN, "further/1"),
        )
        self.admissions = Admissions(
            metrics=Metrics(self.registry), max_connections=max_connections, is_welcome=lambda _: self.welcome
        )
        self.service = ForwardedConnections(
            identify=lambda _: caller,
            check_pod=self._check_pod,
            admissions=self.admissions,
            context=lambda: context,
            services={ALPN: self.inside},
            handshake_timeout=timedelta(seconds=30),
        )
        self.closed = 0
        self.near, far = build_pipe()
        self.session = Session(is_dialer=True)
        self.near.connect(self.session)
        far.connect(self.service.connect(Peer("198.51.100.9", b"a proxy's"), self._count))

    async def _check_pod(self, pod_uid: str) -> None:
        if pod_uid in self.ended_pods:
            raise MembershipEnded("its pod has ended")

    def _count(self) -> None:
        self.closed += 1

    def count(self, sample: str, **labels: str) -> float:
        return self.registry.get_sample_value(sample, labels) or 0.0

    async def connect(
        self, address: str = ADDRESS, *, leaf: Leaf | None = None, protocols: tuple[str, ...] = (ALPN,)
    ) -> tuple[LayerTransport, Heard]:
        """Connect as a client from an address does; the proxy names that."""
        heard = Heard()
        inner = InnerTls(
            context=build_client_context(
                ca_pems=[self.authority.certificate_pem],
                certificate_pem_chain=leaf.certificate_pem if leaf else None,
                private_key_pem=leaf.key_pem if leaf else None,
                protocols=protocols,
            ),
            server_side=False,
            server_hostname="localhost",
            protocol_factory=lambda: heard,
        )
        await self.session.open(render_preface(build_auth_preface(address)), lambda: inner)
        return await inner.established(), heard


async def test_a_client_is_who_it_is_inside_and_comes_from_where_the_proxy_says() -> None:
    auth = Auth()
    leaf = auth.authority.issue("agent")
    transport, heard = await auth.connect(leaf=leaf)
    await settle()
    transport.write(b"hello")
    await settle()
    assert auth.inside.peers == [Peer(ADDRESS, ssl.PEM_cert_to_DER_cert(leaf.certificate_pem))]
    assert heard.data == b"hello"


async def test_a_client_without_a_certificate_is_a_stranger_whoever_the_proxy_is() -> None:
    auth = Auth()
    await auth.connect()
    await settle()
    assert auth.inside.peers == [Peer(ADDRESS)]


@pytest.mark.parametrize(
    "caller",
    [
        None,
        Caller(CallerKind.ANONYMOUS),
        Caller(CallerKind.HOST, "host", frozenset({SystemRole.NODE, SystemRole.AUTH})),
        Caller(CallerKind.USER, "proxy", frozenset({"Proxy"})),
        Caller(CallerKind.BOT, "proxy", frozenset({"Proxy"})),
        Caller(CallerKind.ADMIN, "admin", frozenset({"Admin", "Proxy"})),
    ],
)
async def test_who_is_no_proxy_is_cut(caller: Caller | None) -> None:
    auth = Auth(caller)
    await settle()
    assert not auth.session.is_usable
    assert auth.closed == 1
    assert auth.inside.peers == []


async def test_an_instance_that_covers_a_proxy_is_one() -> None:
    auth = Auth(Caller(CallerKind.HOST, "host", frozenset({SystemRole.PROXY, SystemRole.NODE})))
    await auth.connect()


async def test_connections_are_counted_by_the_true_address_up_to_the_limit() -> None:
    auth = Auth(max_connections=2)
    for _ in range(2):
        await auth.connect()
    with pytest.raises(TeleportError):
        await auth.connect()
    assert auth.count("teleport_connections_refused_total", reason="limit") == 1
    await auth.connect("192.0.2.2")
    assert auth.count("teleport_connections") == 3


async def test_a_connection_that_ends_makes_room() -> None:
    auth = Auth(max_connections=1)
    for _ in range(3):
        transport, _ = await auth.connect()
        await settle()
        transport.close()
        await settle()
        assert auth.count("teleport_connections") == 0


async def test_an_address_that_is_not_welcome_gets_no_handshake() -> None:
    auth = Auth()
    auth.welcome = False
    with pytest.raises(TeleportError):
        await auth.connect()
    assert auth.count("teleport_connections_refused_total", reason="unwelcome") == 1


async def test_a_handshake_that_fails_is_counted_and_forgotten() -> None:
    auth = Auth()
    stranger = ThrowawayAuthority.create().issue()
    transport, heard = await auth.connect(leaf=stranger)  # in TLS 1.3 a client learns later that it was refused
    await settle()
    assert transport.is_closing()
    assert "lost" in heard.events
    assert auth.count("teleport_connections_refused_total", reason="handshake") == 1
    assert auth.count("teleport_connections") == 0


async def test_only_what_runs_inside_streams_can_be_asked_for() -> None:
    auth = Auth()
    _, heard = await auth.connect(protocols=("further/1",))
    await settle()
    assert "lost" in heard.events
    assert auth.count("teleport_connections_refused_total", reason="alpn") == 1


async def test_members_whose_trust_has_ended_are_cut_and_the_others_stay() -> None:
    auth = Auth()
    leaf = auth.authority.issue("agent")
    _, ended = await auth.connect(leaf=leaf)
    _, stays = await auth.connect("192.0.2.2")
    await settle()
    assert auth.admissions.close_where(lambda peer: not peer.anonymous) == 1
    await settle()
    assert "lost" in ended.events
    assert "lost" not in stays.events
    assert auth.session.is_usable


async def test_strangers_who_come_and_go_do_not_cost_the_others_their_connections() -> None:
    auth = Auth()
    _, stays = await auth.connect("192.0.2.2")
    for _ in range(1500):
        stream = await auth.session.open(render_preface(build_auth_preface(ADDRESS)), Heard)
        await settle(4)
        stream.abort()
        await settle(4)
    await settle()
    assert auth.session.is_usable
    assert "lost" not in stays.events


@pytest.mark.parametrize("document", [{}, {"to": "app"}, {"to": "auth", "remote_addr": "nowhere"}])
async def test_a_stream_that_names_no_client_is_cut_alone(document: dict[str, Any]) -> None:
    auth = Auth()
    heard = Heard()
    await auth.session.open(render_preface(document), lambda: heard)
    await settle()
    assert "lost" in heard.events
    await auth.connect()


async def test_hostile_11_a_proxy_whose_pod_has_ended_is_cut() -> None:
    caller = Caller(CallerKind.HOST, "host", frozenset({SystemRole.PROXY}), pod_uid=POD)
    living = Auth(caller)
    await living.connect()
    ended = Auth(caller)
    ended.ended_pods.add(POD)
    await settle()
    assert not ended.session.is_usable
    assert ended.closed == 1


async def test_a_server_that_stops_says_goodbye_and_lets_streams_end() -> None:
    auth = Auth()
    transport, _ = await auth.connect()
    stopping = asyncio.create_task(auth.service.shutdown(timedelta(seconds=30)))
    await settle()
    assert not auth.session.is_usable
    assert not stopping.done()
    transport.close()
    await stopping
    await settle()
    assert auth.closed == 1


async def test_a_server_that_stops_waits_no_longer_than_its_grace() -> None:
    auth = Auth()
    await auth.connect()
    await auth.service.shutdown(timedelta(milliseconds=10))
    await settle()
    assert auth.closed == 1
