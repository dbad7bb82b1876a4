import hashlib

import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
)

from teleport.errors import BadParameter, TooLarge
from teleport.pki import keys

PRIME = 2**255 - 19
D = -121665 * pow(121666, -1, PRIME) % PRIME


def test_a_tls_key_survives_writing_and_reading() -> None:
    key = keys.generate_private_key()
    assert keys.load_private_key(keys.private_key_to_pem(key)).private_numbers() == key.private_numbers()


def test_an_ssh_key_survives_writing_and_reading() -> None:
    key = keys.generate_ssh_private_key()
    pem = keys.ssh_private_key_to_pem(key)
    assert pem.startswith("-----BEGIN OPENSSH PRIVATE KEY-----")
    assert keys.load_ssh_private_key(pem).private_bytes_raw() == key.private_bytes_raw()


def test_an_ssh_public_key_line_has_no_comment() -> None:
    assert keys.ssh_public_key_line(keys.generate_ssh_private_key()).split()[0] == "ssh-ed25519"


def test_a_fingerprint_is_the_sha256_of_the_public_key_info() -> None:
    point = bytes(range(32))
    key = ed25519.Ed25519PublicKey.from_public_bytes(point)
    expected = hashlib.sha256(bytes.fromhex("302a300506032b6570032100") + point).hexdigest()
    assert keys.public_key_fingerprint(key) == expected


@pytest.mark.parametrize(
    "pem", ["", "nonsense", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n", "\ud800"]
)
def test_text_that_is_no_key_is_refused(pem: str) -> None:
    with pytest.raises(BadParameter):
        keys.load_private_key(pem)
    with pytest.raises(BadParameter):
        keys.load_ssh_private_key(pem)


def test_a_key_beyond_the_limit_is_refused_before_it_is_parsed() -> None:
    with pytest.raises(TooLarge):
        keys.load_private_key("x" * (16 * 1024 + 1))
    with pytest.raises(BadParameter, match="damaged"):
        keys.load_private_key("x" * (16 * 1024))


def test_a_key_with_a_passphrase_is_refused() -> None:
    locked = keys.generate_private_key().private_bytes(
        Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"passphrase")
    )
    with pytest.raises(BadParameter):
        keys.load_private_key(locked.decode())


def test_a_tls_key_on_another_curve_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP384R1()).private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    with pytest.raises(BadParameter, match="P-256"):
        keys.load_private_key(other.decode())


def test_an_ssh_key_of_another_algorithm_is_refused() -> None:
    other = ec.generate_private_key(ec.SECP256R1()).private_bytes(Encoding.PEM, PrivateFormat.OpenSSH, NoEncryption())
    with pytest.raises(BadParameter, match="Ed25519"):
        keys.load_ssh_private_key(other.decode())


@pytest.mark.parametrize(("bits", "good"), [(2048, True), (4096, True), (2047, False), (4097, False)])
def test_rsa_keys_are_bounded_on_both_sides(bits: int, *, good: bool) -> None:
    key = rsa.RSAPublicNumbers(65537, (1 << (bits - 1)) | 1).public_key()
    if good:
        assert keys.parse_public_key(key, what="key", curves=keys.TLS_CURVES) is key
    else:
        with pytest.raises(BadParameter, match=f"{bits} bits"):
            keys.parse_public_key(key, what="key", curves=keys.TLS_CURVES)


@pytest.mark.parametrize("encoded", sorted(keys._SMALL_ORDER))
def test_the_list_of_small_orders_holds_points_that_vanish_when_multiplied_by_eight(encoded: bytes) -> None:
    assert any(_multiply_by_eight(point) == (0, 1) for point in _decode(encoded))


def _decode(encoded: bytes) -> list[tuple[int, int]]:
    y = int.from_bytes(encoded, "little") % PRIME
    square = (y * y - 1) * pow(D * y * y + 1, -1, PRIME) % PRIME
    root = pow(square, (PRIME + 3) // 8, PRIME)
    if (root * root - square) % PRIME:
        root = root * pow(2, (PRIME - 1) // 4, PRIME) % PRIME
    assert (root * root - square) % PRIME == 0
    return [(root, y), (-root % PRIME, y)]


def _multiply_by_eight(point: tuple[int, int]) -> tuple[int, int]:
    x, y = point
    for _ in range(3):
        product = D * x * x * y * y
        x, y = (
            2 * x * y * pow(1 + product, -1, PRIME) % PRIME,
            (y * y + x * x) * pow(1 - product, -1, PRIME) % PRIME,
        )
    return x, y
