from dataclasses import replace

import pytest

from teleport.errors import TeleportError
from teleport.pki.keys import generate_ssh_private_key
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
LINE = sign_ssh_certificate(STATEMENT, CA).encode()


def test_what_was_decided_may_leave() -> None:
    check_ssh_certificate(LINE, STATEMENT, CA.public_key())


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
        check_ssh_certificate(LINE, statement, CA.public_key())


def test_a_certificate_of_another_ca_stays() -> None:
    with pytest.raises(TeleportError, match="not state what was decided"):
        check_ssh_certificate(LINE, STATEMENT, generate_ssh_private_key().public_key())


def test_what_is_no_certificate_stays() -> None:
    with pytest.raises(TeleportError, match="cannot be read"):
        check_ssh_certificate(LINE[:-20], STATEMENT, CA.public_key())
