import pytest

from support.fake_cluster import SSH_KEY
from teleport.errors import BadParameter
from teleport.pki.keys import generate_ssh_private_key
from teleport.pki.ssh_certificate import SshCertificateType, SshStatement, sign_ssh_certificate
from teleport.pki.ssh_permissions import read_ssh_permissions


def test_what_a_certificate_allows_is_told_without_what_clusters_use_for_themselves() -> None:
    statement = SshStatement(
        type=SshCertificateType.USER,
        public_key=generate_ssh_private_key().public_key(),
        serial=7,
        key_id="alice",
        principals=("ubuntu", "-teleport-internal-join", "root"),
        valid_after=1,
        valid_before=2,
        extensions=(("permit-pty", ""), ("teleport-roles", "{}")),
    )
    found = read_ssh_permissions(sign_ssh_certificate(statement, generate_ssh_private_key()))
    assert (found.logins, found.extensions) == (("root", "ubuntu"), ("permit-pty",))


@pytest.mark.parametrize("line", ["", "x", SSH_KEY, "ssh-ed25519-cert-v01@openssh.com AAAA"])
def test_what_is_no_certificate_is_refused(line: str) -> None:
    with pytest.raises(BadParameter):
        read_ssh_permissions(line)
