from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from hypothesis import given
from hypothesis import strategies as st

from support.x509 import (
    build_ec_spki,
    build_ed25519_spki,
    build_hostile_csr,
    build_rsa_spki,
    build_unsigned_csr,
    der_to_pem,
)
from teleport.errors import BadParameter, TooLarge
from teleport.pki.csr import MAX_CSR_BYTES, build_csr, parse_csr
from teleport.pki.keys import generate_private_key, public_key_der, public_key_fingerprint
from teleport.pki.pem import CERTIFICATE_REQUEST, parse_pem

KEY = generate_private_key()
CSR = build_csr(KEY, "node1")
DER = parse_pem(CSR, CERTIFICATE_REQUEST, what="request")


def _sign(key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey) -> str:
    algorithm = None if isinstance(key, ed25519.Ed25519PrivateKey) else hashes.SHA256()
    request = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, algorithm)
    return request.public_bytes(serialization.Encoding.PEM).decode()


def test_an_honest_request_gives_its_key() -> None:
    csr = parse_csr(CSR)
    assert csr.public_key == KEY.public_key()
    assert csr.fingerprint == public_key_fingerprint(KEY.public_key())


@pytest.mark.parametrize("name", ["", "x" * 65, "ü" * 40, "\ud800"])
def test_a_name_that_does_not_fit_is_cut(name: str) -> None:
    assert parse_csr(build_csr(KEY, name)).public_key == KEY.public_key()


@pytest.mark.parametrize(
    "key",
    [
        ec.generate_private_key(ec.SECP384R1()),
        ed25519.Ed25519PrivateKey.generate(),
        rsa.generate_private_key(public_exponent=65537, key_size=2048),
    ],
    ids=["P-384", "Ed25519", "RSA-2048"],
)
def test_keys_on_the_list_are_accepted(
    key: ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey,
) -> None:
    assert parse_csr(_sign(key)).public_key == key.public_key()


def test_hostile_36_names_in_a_request_are_never_read() -> None:
    names = [
        x509.DNSName("kubernetes.default.svc"),
        x509.DNSName("*.teleport.cluster.local"),
        x509.DNSName("xn--80ak6aa92e.com"),
        x509.DNSName("a\x00b.example.com"),
        x509.IPAddress(ip_address("10.96.0.1")),
        x509.UniformResourceIdentifier("spiffe://example.com/auth"),
    ]
    csr = parse_csr(build_hostile_csr(KEY, names=names))
    assert set(type(csr).__dataclass_fields__) == {"public_key", "fingerprint"}


def test_hostile_37_wishes_to_be_a_ca_are_never_read() -> None:
    wishes: list[tuple[x509.ExtensionType, bool]] = [
        (x509.BasicConstraints(ca=True, path_length=None), True),
        (x509.KeyUsage(True, False, False, False, False, True, True, False, False), True),
        (x509.UnrecognizedExtension(x509.ObjectIdentifier("1.2.3.4.5"), b"\x05\x00"), True),
    ]
    assert parse_csr(build_hostile_csr(KEY, extensions=wishes)).public_key == KEY.public_key()


def test_hostile_38_a_wrong_signature_is_refused() -> None:
    with pytest.raises(BadParameter, match="not signed by its own key"):
        parse_csr(der_to_pem(DER[:-1] + bytes([DER[-1] ^ 1]), CERTIFICATE_REQUEST))


def test_hostile_38_a_request_for_another_key_than_the_signing_one_is_refused() -> None:
    other = public_key_der(generate_private_key().public_key())
    stolen = DER.replace(public_key_der(KEY.public_key()), other)
    with pytest.raises(BadParameter, match="not signed by its own key"):
        parse_csr(der_to_pem(stolen, CERTIFICATE_REQUEST))


def test_hostile_38_a_forbidden_key_is_refused_even_with_its_own_signature() -> None:
    with pytest.raises(BadParameter, match="somebody else"):
        parse_csr(CSR, forbidden={public_key_fingerprint(KEY.public_key())})
    assert parse_csr(CSR, forbidden={"0" * 64}).public_key == KEY.public_key()


def test_a_signature_over_a_hash_that_is_not_on_the_list_is_refused() -> None:
    with pytest.raises(BadParameter, match="not signed by its own key"):
        parse_csr(build_hostile_csr(KEY, hash_algorithm=hashes.SHA224()))


@pytest.mark.parametrize("bits", [512, 1024, 2047, 4097, 16384])
def test_hostile_39_an_rsa_key_out_of_bounds_is_refused_before_its_signature_is_looked_at(bits: int) -> None:
    with pytest.raises(BadParameter, match="key") as refusal:
        parse_csr(build_unsigned_csr(build_rsa_spki((1 << (bits - 1)) | 1, 65537)))
    assert "signed" not in refusal.value.message


@pytest.mark.parametrize("exponent", [1, 3, 17, 65536, 65539, 2**64 + 1])
def test_hostile_39_an_odd_rsa_exponent_is_refused_before_its_signature_is_looked_at(exponent: int) -> None:
    with pytest.raises(BadParameter, match="key") as refusal:
        parse_csr(build_unsigned_csr(build_rsa_spki((1 << 2047) | 1, exponent)))
    assert "signed" not in refusal.value.message


@pytest.mark.parametrize(
    "curve", [ec.SECP521R1(), ec.SECP256K1(), ec.BrainpoolP256R1()], ids=lambda curve: str(curve.name)
)
def test_hostile_39_a_curve_that_is_not_on_the_list_is_refused(curve: ec.EllipticCurve) -> None:
    with pytest.raises(BadParameter, match=r"curve|not allowed"):
        parse_csr(_sign(ec.generate_private_key(curve)))


@pytest.mark.parametrize("point", [b"\x04" + b"\x01" * 64, b"\x00", b"\x04", b"", b"\x02" + b"\xff" * 32])
def test_hostile_39_a_point_that_is_not_on_the_curve_is_refused(point: bytes) -> None:
    p256 = bytes.fromhex("2a8648ce3d030107")
    with pytest.raises(BadParameter, match="malformed"):
        parse_csr(build_unsigned_csr(build_ec_spki(p256, point)))


@pytest.mark.parametrize("sign", [0, 0x80])
def test_hostile_39_an_ed25519_point_of_small_order_is_refused(sign: int) -> None:
    for point in (bytes(32), b"\x01" + bytes(31), b"\xec" + b"\xff" * 30 + b"\x7f"):
        encoded = point[:-1] + bytes([point[-1] | sign])
        with pytest.raises(BadParameter, match="small order"):
            parse_csr(build_unsigned_csr(build_ed25519_spki(encoded)))


def test_hostile_41_a_request_is_measured_before_it_is_parsed() -> None:
    with pytest.raises(TooLarge):
        parse_csr("x" * (MAX_CSR_BYTES + 1))
    with pytest.raises(BadParameter, match="PEM"):
        parse_csr("x" * MAX_CSR_BYTES)


def test_hostile_41_a_thousand_names_are_too_large() -> None:
    names = [x509.DNSName(f"name-{number}.example.com") for number in range(1000)]
    with pytest.raises(TooLarge):
        parse_csr(build_hostile_csr(KEY, names=names))


@pytest.mark.parametrize("end", [0, 1, 2, 50, len(DER) // 2, len(DER) - 1], ids=["0", "1", "2", "50", "half", "last"])
def test_hostile_41_a_truncated_request_is_refused(end: int) -> None:
    with pytest.raises(BadParameter):
        parse_csr(der_to_pem(DER[:end], CERTIFICATE_REQUEST))


@pytest.mark.parametrize("bomb", [b"\x30\x80" * 2000, b"\x30\x84\xff\xff\xff\xff", b"\xa0\x82\x13\x84" * 1000])
def test_hostile_41_nesting_and_huge_lengths_are_refused(bomb: bytes) -> None:
    with pytest.raises(BadParameter):
        parse_csr(der_to_pem(bomb, CERTIFICATE_REQUEST))


@pytest.mark.parametrize(
    "pem", [CSR + CSR, "text\n" + CSR, CSR.replace("REQUEST", "REQUESTS"), CSR.replace("\n", ""), "", CSR + "x"]
)
def test_anything_but_one_block_is_refused(pem: str) -> None:
    with pytest.raises(BadParameter, match="exactly one PEM block"):
        parse_csr(pem)


@given(st.integers(0, len(DER) - 1), st.binary(max_size=8), st.integers(0, 8))
def test_a_mutated_request_is_refused_or_harmless(place: int, put: bytes, cut: int) -> None:
    try:
        csr = parse_csr(der_to_pem(DER[:place] + put + DER[place + cut :], CERTIFICATE_REQUEST))
    except BadParameter:
        return
    assert csr.public_key == KEY.public_key()


@given(st.text(max_size=300))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(BadParameter):
        parse_csr(text)
