import base64
from dataclasses import replace

import pytest
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    load_ssh_public_identity,
)
from hypothesis import given
from hypothesis import strategies as st

from teleport.errors import TeleportError
from teleport.pki.keys import SshPrivateKey, generate_ssh_private_key, ssh_public_key_line
from teleport.pki.ssh_certificate import (
    SshCertificateType,
    SshStatement,
    check_ssh_certificate,
    sign_ssh_certificate,
)

CA = generate_ssh_private_key()
STATEMENT = SshStatement(
    type=SshCertificateType.HOST,
    public_key=generate_ssh_private_key().public_key(),
    serial=7,
    key_id="node1.example.com",
    principals=("node1",),
    valid_after=1,
    valid_before=2,
    extensions=(("b", "value"), ("a", "")),
)
BLOB = base64.b64decode(sign_ssh_certificate(STATEMENT, CA).split(" ")[1])


def check(blob: bytes, statement: SshStatement, ca_key: SshPrivateKey) -> None:
    algorithm, text = statement.public_key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).split(b" ")
    key = base64.b64decode(text)[4 + len(algorithm) :]
    ca_key_blob = base64.b64decode(ssh_public_key_line(ca_key).split(" ")[1])
    check_ssh_certificate(blob, statement, algorithm=algorithm, key=key, ca_key_blob=ca_key_blob)


def test_what_was_decided_may_leave() -> None:
    check(BLOB, STATEMENT, CA)


@pytest.mark.parametrize(
    "statement",
    [
        replace(STATEMENT, type=SshCertificateType.USER),
        replace(STATEMENT, public_key=generate_ssh_private_key().public_key()),
        replace(STATEMENT, serial=8),
        replace(STATEMENT, key_id="node2.example.com"),
        replace(STATEMENT, principals=("node1", "node2")),
        replace(STATEMENT, valid_after=0),
        replace(STATEMENT, valid_before=3),
        replace(STATEMENT, extensions=(("a", ""),)),
    ],
)
def test_a_certificate_that_differs_from_what_was_decided_stays(statement: SshStatement) -> None:
    with pytest.raises(TeleportError, match="not state what was decided"):
        check(BLOB, statement, CA)


def test_a_certificate_of_another_ca_stays() -> None:
    with pytest.raises(TeleportError, match="not state what was decided"):
        check(BLOB, STATEMENT, generate_ssh_private_key())


@given(cut=st.integers(0, len(BLOB) - 1))
def test_a_certificate_that_is_cut_short_stays(cut: int) -> None:
    with pytest.raises(TeleportError, match="not state what was decided"):
        check(BLOB[:cut], STATEMENT, CA)


@given(at=st.integers(0, len(BLOB) - 70), change=st.integers(1, 255))
def test_a_certificate_with_a_changed_byte_stays(at: int, change: int) -> None:
    nonce = range(40, 72)
    changed = BLOB[:at] + bytes([BLOB[at] ^ change]) + BLOB[at + 1 :]
    if at in nonce:
        check(changed, STATEMENT, CA)
        return
    with pytest.raises(TeleportError, match="not state what was decided"):
        check(changed, STATEMENT, CA)


def test_the_library_reads_the_same() -> None:
    found = load_ssh_public_identity(sign_ssh_certificate(STATEMENT, CA).encode())

    assert isinstance(found, SSHCertificate)
    found.verify_cert_signature()
    assert found.public_key() == STATEMENT.public_key
    assert (found.serial, found.key_id, found.valid_principals) == (7, b"node1.example.com", [b"node1"])
    assert (found.valid_after, found.valid_before) == (1, 2)
    assert found.extensions == {b"a": b"", b"b": b"value"}
    assert found.signature_key() == CA.public_key()
