"""Hostile inputs on the way through a proxy, by their numbers in the list of hostile inputs."""

import asyncio
import json
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.cluster import Agent, AuthFactory, AuthServer
from support.processes import HOST, Processes, wait_until
from support.proxy import read_all
from support.public_proxy import NAME, PublicProxy, coming_from, write_pair
from support.rogue_proxy import RogueProxy
from support.rogue_server import RogueServer
from support.strangers import build_request
from support.tls_certificates import ThrowawayAuthority
from teleport.agent.memory import AgentState
from teleport.api.client import build_identity_context, connect
from teleport.api.exchange import Exchange
from teleport.api.forwarding import FORWARD_ALPN, build_auth_preface
from teleport.api.identity import Identity
from teleport.api.joined import generate_keys
from teleport.api.messages import Empty
from teleport.api.operations import JOIN, PING
from teleport.api.trust import SERVER_NAME
from teleport.api.way import ThroughProxy
from teleport.errors import ConnectionFailed, TeleportError, TrustError, Unauthenticated
from teleport.resources.address import Address
from teleport.resources.role import SystemRole
from teleport.tunnel.inner_tls import InnerTls
from teleport.tunnel.preface import render_preface
from teleport.tunnel.session import Session
from teleport.tunnel.websocket import WebSocketClient
from teleport.web.tls import build_client_context, build_unverified_client_context, build_web_client_context

TOKEN = "b1946ac92492d2347c6235b4d2611184"
FALSE_PIN = "sha256:" + "0" * 64
TRUE_ADDRESS = "127.0.0.9"
VICTIM = "198.51.100.7"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def front(auth: AuthServer, shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> PublicProxy:
    """A proxy that all tests of this module share."""
    return PublicProxy(shared_processes, tmp_path_factory.mktemp("shared") / "public", auth).start()


def assert_never_asked(auth: AuthServer, agent: Agent) -> None:
    assert [event for event in auth.read_audit() if event.get("node_name") == agent.name] == []


def read_identity(state: Path, role: SystemRole) -> Identity:
    joined = AgentState.model_validate_json(state.read_bytes()).joined
    assert joined is not None
    return joined.identity(role)


def test_hostile_50_a_false_pin_keeps_the_token_at_home(auth: AuthServer, front: PublicProxy) -> None:
    agent = front.make_agent("false-pin", f"--token={TOKEN}", f"--ca-pin={FALSE_PIN}").start()

    agent.process.wait_for_log("which is none of the CA pins given")

    assert agent.process.fetch("/readyz")[0] == 400
    assert_never_asked(auth, agent)


def test_hostile_50_insecure_or_not_a_false_pin_keeps_the_token_at_home(auth: AuthServer, front: PublicProxy) -> None:
    agent = front.make_agent("careful", f"--token={TOKEN}", f"--ca-pin={FALSE_PIN}", "--insecure").start()

    agent.process.wait_for_log("which is none of the CA pins given")

    assert_never_asked(auth, agent)


def test_hostile_50_a_web_certificate_that_nobody_vouches_for_ends_it_before_a_byte_is_sent(
    auth: AuthServer, front: PublicProxy
) -> None:
    with RogueProxy(ThrowawayAuthority.create().issue(NAME)) as rogue:
        agent = front.make_agent("suspicious", f"--token={TOKEN}", at=f"{NAME}:{rogue.address.port}").start()

        agent.process.wait_for_log("the web certificate of proxy")

        assert rogue.received == b""
    assert_never_asked(auth, agent)


def test_hostile_50_a_web_certificate_for_another_name_is_none(auth: AuthServer, front: PublicProxy) -> None:
    with RogueProxy(front.authority.issue("other.example.com")) as rogue:
        agent = front.make_agent("by-name", f"--token={TOKEN}", at=f"{NAME}:{rogue.address.port}").start()

        agent.process.wait_for_log("the web certificate of proxy")

        assert rogue.received == b""
    assert_never_asked(auth, agent)


def test_hostile_50_with_a_pin_a_proxy_that_plays_auth_itself_gets_no_token(pin: str, front: PublicProxy) -> None:
    with RogueServer("example.com") as auth_of_the_rogue, RogueProxy(front.authority.issue(NAME)) as rogue:
        rogue.leads_to = auth_of_the_rogue.address
        agent = front.make_agent(
            "pinned", f"--token={TOKEN}", f"--ca-pin={pin}", at=f"{NAME}:{rogue.address.port}"
        ).start()

        agent.process.wait_for_log("which is none of the CA pins given")

        assert auth_of_the_rogue.received.startswith(b"GET /v1/trust HTTP/1.1\r\n")
        assert TOKEN.encode() not in auth_of_the_rogue.received
        assert b"/v1/join" not in auth_of_the_rogue.received


def test_hostile_50_who_verifies_nothing_is_told_so(auth: AuthServer, front: PublicProxy) -> None:
    agent = front.make_agent("careless", f"--token={auth.add_token()}", "--insecure").start().wait_until_ready()

    assert "INSECURE" in agent.process.log


def test_hostile_50_a_proxy_s_own_certificate_does_not_make_it_auth(front: PublicProxy) -> None:
    """Every proxy has a certificate of the cluster for auth's name; what it lacks is the role."""
    agent = front.join("member")
    identity = read_identity(agent.state, SystemRole.INSTANCE)
    of_proxy = read_identity(front.proxy.data_dir / "proc" / "state.json", SystemRole.PROXY)
    with RogueServer("example.com", identity=of_proxy) as impostor, RogueProxy(front.authority.issue(NAME)) as rogue:
        rogue.leads_to = impostor.address
        with pytest.raises(TrustError, match="not that of an auth server"):
            asyncio.run(ping(ThroughProxy(Address(NAME, rogue.address.port), is_insecure=True), identity))
        assert impostor.received == b""
    asyncio.run(front.call(PING, Empty(), identity))


async def ping(way: ThroughProxy, identity: Identity) -> None:
    async with connect(way, identity) as client:
        await client.call(PING, Empty())


async def join_over_websocket(front: PublicProxy, *headers: tuple[str, str]) -> None:
    """Try to join as through a load balancer, with further headers in the request for the WebSocket."""
    exchange = Exchange("auth")
    inner = InnerTls(context=build_unverified_client_context(), server_side=False, protocol_factory=lambda: exchange)
    carrier = WebSocketClient(
        host=front.address, path="/v1/webapi/connect/auth", protocol_factory=lambda: inner, headers=headers
    )
    context = build_web_client_context(("http/1.1",), is_verified=False)
    await asyncio.get_running_loop().create_connection(
        lambda: carrier, front.proxy.address.host, front.proxy.address.port, ssl=context
    )
    await inner.established()
    request = build_request(generate_keys(), TOKEN, node_name="forger")
    answer = await exchange.ask("POST", JOIN.path, headers=JSON, body=request.model_dump_json().encode())
    assert answer.status == 403
    exchange.abort()


@pytest.mark.parametrize("name", ["X-Forwarded-For", "X-Real-IP", "Forwarded", "CF-Connecting-IP"])
def test_hostile_51_a_forged_header_changes_nobody_s_address(auth: AuthServer, front: PublicProxy, name: str) -> None:
    asyncio.run(join_over_websocket(front, (name, f"for={VICTIM}" if name == "Forwarded" else VICTIM)))

    addresses = {event["remote_addr"] for event in auth.read_audit("instance.join")}
    assert addresses == {HOST}


def test_hostile_51_a_header_of_the_proxy_protocol_is_no_handshake(auth: AuthServer, front: PublicProxy) -> None:
    before = auth.count("teleport_connections_refused_total", {"reason": "handshake"})
    with front.proxy.connect(protocols=("teleport-auth/1",)) as connection:
        connection.sendall(f"PROXY TCP4 {VICTIM} {HOST} 1 2\r\n".encode() * 10)
        read_all(connection)
    wait_until(
        lambda: auth.count("teleport_connections_refused_total", {"reason": "handshake"}) > before, "auth refuses it"
    )


def test_hostile_51_refusals_count_for_the_true_address_and_for_no_other(
    make_auth: AuthFactory, processes: Processes, tmp_path: Path
) -> None:
    limits = {"refused_joins": {"period": "1h", "average": 1, "burst": 2}}
    strict = make_auth(teleport={"connection_limits": limits}).start()
    behind = PublicProxy(processes, tmp_path / "public", strict).start()
    with coming_from(TRUE_ADDRESS, behind.proxy.address) as there:
        guesser = behind.make_agent("guesser", f"--token={TOKEN}", at=f"{NAME}:{there.port}").start()
        guesser.process.wait_for_log("too many refused joins from this address")
    behind.join("innocent")
    addresses = {event["remote_addr"] for event in strict.read_audit("instance.join") if not event["success"]}
    assert addresses == {TRUE_ADDRESS}


@asynccontextmanager
async def forwarding(auth: AuthServer, identity: Identity | None) -> AsyncIterator[Session]:
    """Connect to auth as a proxy does, whoever one is."""
    if identity is None:
        context = build_client_context(ca_pems=auth.admin.host_ca_certificates, protocols=(FORWARD_ALPN,))
    else:
        context = build_identity_context(identity, (FORWARD_ALPN,))
    session = Session(is_dialer=True)
    await asyncio.get_running_loop().create_connection(
        lambda: session, auth.address.host, auth.address.port, ssl=context, server_hostname=SERVER_NAME
    )
    try:
        yield session
    finally:
        session.abort()
        await session.closed()


async def ask(session: Session, preface: bytes, context: ssl.SSLContext) -> None:
    """Ask for something that anonymous callers may not, on a stream with this preface."""
    exchange = Exchange("auth")
    inner = InnerTls(context=context, server_side=False, server_hostname=SERVER_NAME, protocol_factory=lambda: exchange)
    await session.open(preface, lambda: inner)
    await inner.established()
    answer = await exchange.ask(PING.method, PING.path, headers=JSON, body=b"{}")
    if answer.status != 200:
        raise Unauthenticated(json.loads(answer.body)["error"]["code"])


WHO: dict[str, Callable[[PublicProxy, Agent], Identity | None]] = {
    "a node": lambda _, agent: read_identity(agent.state, SystemRole.NODE),
    "an instance": lambda _, agent: read_identity(agent.state, SystemRole.INSTANCE),
    "an administrator": lambda front, _: front.auth.admin,
    "a stranger": lambda *_: None,
}


@pytest.mark.parametrize("who", list(WHO))
def test_hostile_51_nobody_but_a_proxy_may_name_the_addresses_of_others(
    auth: AuthServer, front: PublicProxy, who: str
) -> None:
    agent = front.join("forger-" + who.replace(" ", "-"))
    context = build_client_context(ca_pems=auth.admin.host_ca_certificates)

    async def forge() -> None:
        async with forwarding(auth, WHO[who](front, agent)) as session:
            with pytest.raises(TeleportError):
                await ask(session, render_preface(build_auth_preface(VICTIM)), context)
            await session.closed()

    asyncio.run(forge())
    assert "is no proxy of this cluster" in auth.process.log
    assert VICTIM not in auth.process.log


def test_a_proxy_lends_nobody_its_identity(auth: AuthServer, front: PublicProxy) -> None:
    """Inside a stream counts who shakes hands there; without a certificate that is a stranger."""
    of_proxy = read_identity(front.proxy.data_dir / "proc" / "state.json", SystemRole.PROXY)
    preface = render_preface(build_auth_preface(VICTIM))

    async def try_both() -> None:
        async with forwarding(auth, of_proxy) as session:
            with pytest.raises(Unauthenticated):
                await ask(session, preface, build_client_context(ca_pems=auth.admin.host_ca_certificates))
            await ask(session, preface, build_identity_context(of_proxy))

    asyncio.run(try_both())


PREFACES: dict[str, object] = {
    "no address": {"to": "auth"},
    "a name": {"to": "auth", "remote_addr": "localhost"},
    "a network": {"to": "auth", "remote_addr": "192.0.2.0/24"},
    "a number": {"to": "auth", "remote_addr": 3232235777},
    "nothing": {"to": "auth", "remote_addr": None},
    "more than that": {"to": "auth", "remote_addr": VICTIM, "certificate": "x"},
    "somebody else": {"to": "app", "remote_addr": VICTIM},
}


@pytest.mark.parametrize("what", list(PREFACES))
def test_a_preface_that_names_no_address_is_refused_and_the_others_go_on(
    auth: AuthServer, front: PublicProxy, what: str
) -> None:
    of_proxy = read_identity(front.proxy.data_dir / "proc" / "state.json", SystemRole.PROXY)
    document = PREFACES[what]
    assert isinstance(document, dict)

    async def try_it() -> None:
        async with forwarding(auth, of_proxy) as session:
            with pytest.raises((ConnectionFailed, TrustError)):
                await ask(session, render_preface(document), build_identity_context(of_proxy))
            await ask(session, render_preface(build_auth_preface(VICTIM)), build_identity_context(of_proxy))

    asyncio.run(try_it())


def test_inside_a_stream_there_are_no_further_streams(auth: AuthServer, front: PublicProxy) -> None:
    of_proxy = read_identity(front.proxy.data_dir / "proc" / "state.json", SystemRole.PROXY)

    async def nest() -> None:
        async with forwarding(auth, of_proxy) as session:
            with pytest.raises(ConnectionFailed):
                await ask(
                    session,
                    render_preface(build_auth_preface(VICTIM)),
                    build_identity_context(of_proxy, (FORWARD_ALPN,)),
                )

    before = auth.count("teleport_connections_refused_total", {"reason": "alpn"})
    asyncio.run(nest())
    assert auth.count("teleport_connections_refused_total", {"reason": "alpn"}) == before + 1


def test_strangers_who_connect_too_often_are_cut_before_auth_is_asked(
    make_auth: AuthFactory, processes: Processes, tmp_path: Path
) -> None:
    auth = make_auth().start()
    limits = {"connection_limits": {"rates": [{"period": "1h", "average": 1, "burst": 3}]}}
    tight = PublicProxy(processes, tmp_path / "tight", auth, teleport=limits).start()

    for _ in range(3 + 5):
        with tight.proxy.connect(protocols=("teleport-auth/1",)) as connection:
            connection.sendall(b"no TLS")
            read_all(connection)

    assert auth.count("teleport_connections_refused_total", {"reason": "handshake"}) == 3


def test_which_web_certificates_are_good_is_read_anew_at_each_start(
    auth: AuthServer, processes: Processes, tmp_path: Path
) -> None:
    other = ThrowawayAuthority.create()
    pair = write_pair(tmp_path, other.issue(NAME), "other")
    elsewhere = PublicProxy(processes, tmp_path / "public", auth, {"https_keypairs": [pair]}).start()
    agent = elsewhere.make_agent("believer", f"--token={auth.add_token()}").start()

    agent.process.wait_for_log("the web certificate of proxy")

    agent.process.stop()
    elsewhere.ca_file.write_text(other.certificate_pem)
    agent.start().wait_until_ready()
