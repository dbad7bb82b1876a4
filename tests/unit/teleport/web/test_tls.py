import ssl

import pytest

from support.tls_certificates import Leaf, ThrowawayAuthority
from teleport.errors import BadParameter
from teleport.web.tls import build_client_context, build_server_context, build_unverified_client_context

AUTHORITY = ThrowawayAuthority.create()
SERVER = AUTHORITY.issue("auth.example.com")
CLIENT = AUTHORITY.issue("agent")


def build_server(leaf: Leaf = SERVER, authorities: tuple[ThrowawayAuthority, ...] = (AUTHORITY,)) -> ssl.SSLContext:
    return build_server_context(
        certificate_pem_chain=leaf.certificate_pem,
        private_key_pem=leaf.key_pem,
        client_ca_pems=[authority.certificate_pem for authority in authorities],
    )


def build_client(leaf: Leaf | None = None, authority: ThrowawayAuthority = AUTHORITY) -> ssl.SSLContext:
    return build_client_context(
        ca_pems=[authority.certificate_pem],
        certificate_pem_chain=leaf.certificate_pem if leaf else None,
        private_key_pem=leaf.key_pem if leaf else None,
    )


def shake_hands(
    server: ssl.SSLContext, client: ssl.SSLContext, name: str = "auth.example.com"
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


def test_both_ends_agree_on_tls_13_and_http() -> None:
    server_end, client_end = shake_hands(build_server(), build_client())
    assert server_end.version() == "TLSv1.3"
    assert client_end.selected_alpn_protocol() == "http/1.1"
    assert client_end.compression() is None


def test_a_client_needs_no_certificate() -> None:
    server_end, _ = shake_hands(build_server(), build_client())
    assert server_end.getpeercert(binary_form=True) is None


def test_a_clients_certificate_is_seen() -> None:
    server_end, _ = shake_hands(build_server(), build_client(CLIENT))
    assert server_end.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(CLIENT.certificate_pem)


def test_every_trusted_authority_counts() -> None:
    other = ThrowawayAuthority.create("other")
    server_end, _ = shake_hands(build_server(authorities=(AUTHORITY, other)), build_client(other.issue("agent")))
    assert server_end.getpeercert(binary_form=True)


def test_a_certificate_of_a_strange_authority_fails_the_handshake() -> None:
    stranger = ThrowawayAuthority.create().issue("agent")
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(build_server(), build_client(stranger))


def test_without_authorities_no_certificate_is_good_enough() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(build_server(authorities=()), build_client(CLIENT))


def test_no_session_tickets_are_given_out() -> None:
    assert build_server().num_tickets == 0


def test_tls_12_is_not_spoken() -> None:
    client = build_client()
    client.minimum_version = client.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        shake_hands(build_server(), client)


def test_a_client_refuses_a_strange_authority() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(build_server(), build_client(authority=ThrowawayAuthority.create()))


def test_a_client_refuses_another_name() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(build_server(), build_client(), name="other.example.com")


def test_a_client_without_authorities_trusts_nobody() -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(build_server(), build_client_context(ca_pems=[]))


def test_an_unverified_client_sees_the_certificate_it_has_to_judge_itself() -> None:
    _, client_end = shake_hands(build_server(), build_unverified_client_context(), name="other.example.com")
    assert client_end.getpeercert(binary_form=True) == ssl.PEM_cert_to_DER_cert(SERVER.certificate_pem)


@pytest.mark.parametrize(
    "leaf",
    [
        Leaf(SERVER.certificate_pem, CLIENT.key_pem),
        Leaf(SERVER.certificate_pem, "no key"),
        Leaf("no certificate", SERVER.key_pem),
        Leaf("", ""),
        Leaf("schlüssel", ""),
    ],
)
def test_an_identity_that_does_not_fit_is_refused(leaf: Leaf) -> None:
    with pytest.raises(BadParameter, match="do not fit together"):
        build_server(leaf)


def test_an_authority_that_is_no_certificate_is_refused() -> None:
    with pytest.raises(BadParameter, match="CA certificate"):
        build_client_context(ca_pems=["no certificate"])
