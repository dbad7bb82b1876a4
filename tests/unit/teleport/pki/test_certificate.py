import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from support.x509 import CLUSTER, NOW, YEAR, HostileLeaf, build_authority, build_host_template
from teleport.errors import BadParameter, TooLarge
from teleport.pki.authority import TlsSigner
from teleport.pki.certificate import MAX_CERTIFICATE_BYTES, parse_certificate, parse_statement
from teleport.pki.keys import generate_private_key, public_key_der
from teleport.pki.pem import CERTIFICATE, parse_pem

AUTHORITY = build_authority()


def test_a_leaf_is_read_back_as_it_was_signed() -> None:
    key = generate_private_key()
    template = build_host_template(dns_names=("a", "b"), ip_addresses=("10.0.0.1", "::1"))
    statement = parse_statement(AUTHORITY.issue_der(template, key))
    assert statement.subject == template.subject
    assert dict(statement.issuer) == {"2.5.4.3": CLUSTER, "2.5.4.10": CLUSTER}
    assert (statement.dns_names, statement.ip_addresses) == (template.dns_names, template.ip_addresses)
    assert (statement.not_before, statement.not_after) == (NOW, NOW + YEAR)
    assert statement.public_key == public_key_der(key.public_key())
    assert statement.is_server


def test_the_hostile_builder_makes_an_honest_leaf_by_default() -> None:
    assert parse_statement(HostileLeaf().sign(AUTHORITY.pair)).is_server


@pytest.mark.parametrize(
    "leaf",
    [
        HostileLeaf(ca=True),
        HostileLeaf(usages=()),
        HostileLeaf(usages=(ExtendedKeyUsageOID.SERVER_AUTH,)),
        HostileLeaf(usages=(ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE,)),
        HostileLeaf(names=(x509.UniformResourceIdentifier("spiffe://example.com/auth"),)),
        HostileLeaf(names=(x509.DNSName("a"), x509.RFC822Name("a@example.com"))),
        HostileLeaf(further=(x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4"), b"\x05\x00"),)),
    ],
    ids=["ca", "no usage", "server only", "any usage", "uri", "mail", "unknown extension"],
)
def test_a_leaf_that_we_would_not_sign_is_refused(leaf: HostileLeaf) -> None:
    with pytest.raises(BadParameter):
        parse_statement(leaf.sign(AUTHORITY.pair))


def test_an_empty_list_of_usages_is_refused() -> None:
    empty = x509.UnrecognizedExtension(x509.ObjectIdentifier("2.5.29.37"), b"\x30\x00")
    with pytest.raises(BadParameter):
        parse_statement(HostileLeaf(usages=(), further=(empty,)).sign(AUTHORITY.pair))


@pytest.mark.parametrize("serial", [0, -1])
def test_a_serial_number_that_is_not_positive_is_refused(serial: int) -> None:
    signer = TlsSigner(AUTHORITY.pair, serial=lambda: serial)
    issued = signer.sign(build_host_template(), generate_private_key().public_key())
    with pytest.raises(BadParameter, match="serial number"):
        parse_statement(parse_pem(issued.pem, CERTIFICATE, what="certificate"))


def test_a_certificate_is_measured_before_it_is_parsed() -> None:
    with pytest.raises(TooLarge):
        parse_certificate(bytes(MAX_CERTIFICATE_BYTES + 1))
    with pytest.raises(BadParameter, match="malformed"):
        parse_certificate(bytes(MAX_CERTIFICATE_BYTES))
