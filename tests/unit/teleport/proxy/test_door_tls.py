import ssl

import pytest

from support.auth import InProcessAuth
from support.tls_certificates import ThrowawayAuthority
from teleport.api.client import build_identity_context
from teleport.api.identity import Identity
from teleport.api.joined import build_joined, generate_keys
from teleport.errors import BadParameter
from teleport.pki.web_certificate import WebCertificate, read_web_certificate
from teleport.proxy.door_tls import DoorTls
from teleport.resources.role import SystemRole
from teleport.web.tls import build_client_context

PUBLIC = ThrowawayAuthority.create()
CLUSTER_NAME = "teleport.cluster.local"


class Cluster:
    """An auth server in memory, and the identity of one proxy."""

    def __init__(self, auth: InProcessAuth, identity: Identity) -> None:
        self.auth = auth
        self.identity = identity

    def open_door(self, *names: str) -> DoorTls:
        return DoorTls(
            protocols=["http/1.1", "some-protocol/1"],
            identity=self.identity,
            trust=self.auth.authority.trust_bundle,
            certificates=[issue(name) for name in names],
        )


def issue(name: str) -> WebCertificate:
    leaf = PUBLIC.issue(name)
    return read_web_certificate(leaf.certificate_pem, leaf.key_pem)


@pytest.fixture
async def cluster() -> Cluster:
    auth = await InProcessAuth.start()
    await auth.add_token()
    keys = generate_keys()
    joined = build_joined(keys, await auth.join(keys=keys))
    return Cluster(auth, joined.identity(SystemRole.INSTANCE))


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, name: str | None
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Let two contexts meet in memory; return the server's and the client's end."""
    upstream, downstream = ssl.MemoryBIO(), ssl.MemoryBIO()
    server_end = server.wrap_bio(upstream, downstream, server_side=True)
    client_end = client.wrap_bio(downstream, upstream, server_hostname=name)
    for step in (client_end.do_handshake, server_end.do_handshake) * 2:
        try:
            step()
        except ssl.SSLWantReadError:
            continue
    return server_end, client_end


def look_at(door: DoorTls, name: str | None, protocol: str = "http/1.1") -> tuple[str, str | None]:
    """Return whose certificate a stranger sees who asks for a name, and what was negotiated."""
    client = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    client.set_alpn_protocols([protocol])
    _, end = shake_hands(door.context(), client, name)
    der = end.getpeercert(binary_form=True)
    assert der is not None
    names = read_web_certificate(ssl.DER_cert_to_PEM_cert(der), "").names
    return names[0] if names else "", end.selected_alpn_protocol()


@pytest.mark.parametrize(
    ("asked", "shown"),
    [
        ("a.example.com", "a.example.com"),
        ("A.Example.Com", "a.example.com"),
        ("x.apps.example.com", "*.apps.example.com"),
        ("unknown.example.com", "b.example.com"),
        ("teleport.cluster.local.example.com", "b.example.com"),
        (None, "b.example.com"),
    ],
)
async def test_the_name_chooses_the_certificate_and_the_first_one_is_shown_otherwise(
    cluster: Cluster, asked: str | None, shown: str
) -> None:
    door = cluster.open_door("b.example.com", "a.example.com", "*.apps.example.com")
    assert look_at(door, asked) == (shown, "http/1.1")


async def test_who_asks_for_the_clusters_name_sees_the_clusters_certificate(cluster: Cluster) -> None:
    door = cluster.open_door("a.example.com")
    client = build_client_context(ca_pems=cluster.identity.host_ca_certificates)
    client.check_hostname = False  # the identity of this test is an instance's, which has no names
    client.set_alpn_protocols(["some-protocol/1"])
    for context in (door.context(), door.host_context()):
        server_end, client_end = shake_hands(context, client, CLUSTER_NAME)
        assert client_end.selected_alpn_protocol() == "some-protocol/1"
        assert client_end.version() == "TLSv1.3"
        assert server_end.getpeercert(binary_form=True) is None


@pytest.mark.parametrize("name", [CLUSTER_NAME, "a.example.com"])
async def test_a_member_may_show_its_certificate_whatever_name_it_asks_for(cluster: Cluster, name: str) -> None:
    door = cluster.open_door("a.example.com")
    client = build_identity_context(cluster.identity)
    client.check_hostname = False
    client.verify_mode = ssl.CERT_NONE
    server_end, _ = shake_hands(door.context(), client, name)
    assert server_end.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(cluster.identity.tls_certificate)


async def test_hostile_49_a_certificate_of_somebody_else_fails_the_handshake(cluster: Cluster) -> None:
    leaf = PUBLIC.issue("agent")
    client = build_client_context(
        ca_pems=[PUBLIC.certificate_pem], certificate_pem_chain=leaf.certificate_pem, private_key_pem=leaf.key_pem
    )
    with pytest.raises(ssl.SSLError):
        shake_hands(cluster.open_door("a.example.com").context(), client, "a.example.com")


async def test_new_web_certificates_are_shown_to_connections_to_come(cluster: Cluster) -> None:
    door = cluster.open_door("a.example.com")
    door.replace_web([issue("new.example.com")])
    assert look_at(door, "a.example.com")[0] == "new.example.com"


async def test_a_pair_that_does_not_fit_leaves_the_old_one(cluster: Cluster) -> None:
    door = cluster.open_door("a.example.com")
    broken = WebCertificate("", "", ("b.example.com",), issue("b").not_before, issue("b").not_after)
    with pytest.raises(BadParameter):
        door.replace_web([broken])
    door.replace_host(cluster.identity, cluster.auth.authority.trust_bundle)
    assert look_at(door, "b.example.com")[0] == "a.example.com"
