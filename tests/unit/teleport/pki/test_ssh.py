import base64
import json
import subprocess
from datetime import timedelta
from pathlib import Path
from shutil import which

import pytest
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    PublicFormat,
    SSHCertificate,
    SSHCertificateType,
    load_ssh_public_identity,
)
from hypothesis import given
from hypothesis import strategies as st

from support.x509 import CLUSTER, HOST_ID, NOW, OTHER_HOST_ID, YEAR
from teleport.errors import BadParameter, TooLarge
from teleport.pki.authority import create_ssh_authority
from teleport.pki.keys import (
    generate_ssh_private_key,
    public_key_fingerprint,
    ssh_private_key_to_pem,
    ssh_public_key_line,
)
from teleport.pki.ssh import (
    INTERNAL_PRINCIPAL,
    MAX_LINE,
    MAX_PRINCIPALS,
    SshPublicKey,
    SshSigner,
    build_host_principals,
    parse_ssh_public_key,
)
from teleport.resources.authority import SshKeyPair
from teleport.resources.role import SystemRole

KEY = generate_ssh_private_key()
LINE = ssh_public_key_line(KEY)
BLOB = LINE.split()[1]
PAIR = create_ssh_authority()
SIGNER = SshSigner(PAIR)


def _line(
    key: ec.EllipticCurvePublicKey | rsa.RSAPublicKey | ed25519.Ed25519PublicKey | dsa.DSAPublicKey,
) -> str:
    return key.public_bytes(Encoding.OpenSSH, PublicFormat.OpenSSH).decode()


def _rsa(bits: int, exponent: int = 65537) -> str:
    modulus = (1 << (bits - 1)) | 1
    fields = (b"ssh-rsa", _int(exponent), _int(modulus))
    blob = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    return f"ssh-rsa {base64.b64encode(blob).decode()}"


def _int(number: int) -> bytes:
    return number.to_bytes(number.bit_length() // 8 + 1, "big")


def _sign_host(key: SshPublicKey | None = None, principals: tuple[str, ...] = ("node1",)) -> str:
    return SIGNER.sign_host(
        key or KEY.public_key(),
        cluster_name=CLUSTER,
        host_id=HOST_ID,
        role=SystemRole.NODE,
        principals=principals,
        not_before=NOW,
        not_after=NOW + YEAR,
    )


def _sign_user(user: str = "alice", principals: tuple[str, ...] = ("root",)) -> str:
    return SIGNER.sign_user(
        KEY.public_key(),
        cluster_name=CLUSTER,
        user=user,
        principals=principals,
        not_before=NOW,
        not_after=NOW + YEAR,
        roles=("editor",),
    )


def _read(line: str) -> SSHCertificate:
    certificate = load_ssh_public_identity(line.encode())
    assert isinstance(certificate, SSHCertificate)
    certificate.verify_cert_signature()
    return certificate


@pytest.mark.parametrize("line", [LINE, LINE + " alice@host", LINE + "\n", LINE + " a comment of words\n"])
def test_a_plain_key_is_read(line: str) -> None:
    assert parse_ssh_public_key(line) == KEY.public_key()


@pytest.mark.parametrize(
    "line",
    [
        _line(ec.generate_private_key(ec.SECP256R1()).public_key()),
        _line(ec.generate_private_key(ec.SECP384R1()).public_key()),
        _line(ec.generate_private_key(ec.SECP521R1()).public_key()),
        _rsa(2048),
        _rsa(4096),
    ],
    ids=["P-256", "P-384", "P-521", "RSA-2048", "RSA-4096"],
)
def test_every_algorithm_on_the_list_is_read(line: str) -> None:
    assert _line(parse_ssh_public_key(line)) == line


@pytest.mark.parametrize(
    "line",
    [_rsa(1024), _rsa(2047), _rsa(4097), _rsa(16384), _rsa(2048, 1), _rsa(2048, 3), _rsa(2048, 65539)],
    ids=["1024", "2047", "4097", "16384", "e=1", "e=3", "e=65539"],
)
def test_hostile_39_a_weak_or_huge_rsa_key_is_refused(line: str) -> None:
    with pytest.raises(BadParameter, match="SSH public key"):
        parse_ssh_public_key(line)


def test_hostile_39_a_compressed_point_is_refused() -> None:
    point = (
        ec.generate_private_key(ec.SECP256R1()).public_key().public_bytes(Encoding.X962, PublicFormat.CompressedPoint)
    )
    fields = (b"ecdsa-sha2-nistp256", b"nistp256", point)
    blob = b"".join(len(field).to_bytes(4, "big") + field for field in fields)
    with pytest.raises(BadParameter, match="malformed"):
        parse_ssh_public_key(f"ecdsa-sha2-nistp256 {base64.b64encode(blob).decode()}")


def test_hostile_39_a_point_of_small_order_is_refused() -> None:
    blob = b"\x00\x00\x00\x0bssh-ed25519\x00\x00\x00\x20" + b"\x01" + bytes(31)
    with pytest.raises(BadParameter, match="small order"):
        parse_ssh_public_key(f"ssh-ed25519 {base64.b64encode(blob).decode()}")


def test_hostile_38_a_forbidden_key_is_refused() -> None:
    with pytest.raises(BadParameter, match="somebody else"):
        parse_ssh_public_key(LINE, forbidden={public_key_fingerprint(KEY.public_key())})
    assert parse_ssh_public_key(LINE, forbidden={"0" * 64}) == KEY.public_key()


def test_hostile_40_a_certificate_is_no_key() -> None:
    with pytest.raises(BadParameter, match="is a certificate"):
        parse_ssh_public_key(_sign_host())


def test_hostile_40_a_certificate_under_the_name_of_a_key_is_refused() -> None:
    certificate = _sign_host().split()[1]
    with pytest.raises(BadParameter, match="not of the algorithm"):
        parse_ssh_public_key(f"ssh-ed25519 {certificate}")


def test_hostile_40_a_certificate_is_no_ca() -> None:
    ca = generate_ssh_private_key()
    nested = _sign_host(ca.public_key())
    with pytest.raises(BadParameter, match="is a certificate"):
        SshSigner(SshKeyPair(public_key=nested, private_key=ssh_private_key_to_pem(ca)))
    with pytest.raises(BadParameter):
        SshSigner(SshKeyPair(public_key=ssh_public_key_line(ca), private_key=nested))


def test_hostile_40_a_private_key_that_is_marked_as_a_certificate_is_refused() -> None:
    ca = generate_ssh_private_key()
    body = "".join(ssh_private_key_to_pem(ca).splitlines()[1:-1])
    renamed = b"ssh-ed25519-cert-v01@openssh.com"
    raw = base64.b64decode(body).replace(b"\x00\x00\x00\x0bssh-ed25519", len(renamed).to_bytes(4, "big") + renamed)
    pem = (
        "-----BEGIN OPENSSH PRIVATE KEY-----\n"
        + base64.encodebytes(raw).decode()
        + "-----END OPENSSH PRIVATE KEY-----\n"
    )
    with pytest.raises(BadParameter):
        SshSigner(SshKeyPair(public_key=ssh_public_key_line(ca), private_key=pem))


def test_a_ca_whose_halves_do_not_belong_together_is_refused() -> None:
    with pytest.raises(BadParameter, match="does not belong"):
        SshSigner(SshKeyPair(public_key=LINE, private_key=PAIR.private_key))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "ssh-ed25519",
        f"ssh-ed25519  {BLOB}",
        f" {LINE}",
        f"{LINE}\n{LINE}",
        f"{LINE}\r\n",
        f"{LINE}\x00",
        f'command="id" {LINE}',
        f"no-pty {LINE}",
        f"ssh-dss {BLOB}",
        f"sk-ssh-ed25519@openssh.com {BLOB}",
        f"ecdsa-sha2-nistp256 {BLOB}",
        f"ssh-ed25519 {BLOB[:-8]}",
        f"ssh-ed25519 {BLOB}AAAA",
        f"ssh-ed25519 {BLOB[:-1]}",
        f"ssh-ed25519 {BLOB[:20]}=",
        f"SSH-ED25519 {BLOB}",
        f"{LINE} k\u00e4",
    ],
)
def test_what_is_no_plain_key_is_refused(line: str) -> None:
    with pytest.raises(BadParameter):
        parse_ssh_public_key(line)


def test_hostile_41_a_key_is_measured_before_it_is_parsed() -> None:
    with pytest.raises(TooLarge):
        parse_ssh_public_key("x" * (MAX_LINE + 1))
    with pytest.raises(BadParameter, match="one line"):
        parse_ssh_public_key("x" * MAX_LINE)


@given(st.integers(0, len(BLOB) // 4 * 3), st.binary(max_size=8), st.integers(0, 8))
def test_a_mutated_key_is_refused_or_another_key(place: int, put: bytes, cut: int) -> None:
    blob = base64.b64decode(BLOB)
    mutated = base64.b64encode(blob[:place] + put + blob[place + cut :]).decode()
    try:
        key = parse_ssh_public_key(f"ssh-ed25519 {mutated}")
    except BadParameter:
        return
    assert isinstance(key, ed25519.Ed25519PublicKey)


@given(st.sampled_from(["ssh-rsa", "ecdsa-sha2-nistp256", "ssh-ed25519"]), st.binary(max_size=120))
def test_any_blob_is_refused_or_a_key(algorithm: str, tail: bytes) -> None:
    blob = len(algorithm).to_bytes(4, "big") + algorithm.encode() + tail
    try:
        parse_ssh_public_key(f"{algorithm} {base64.b64encode(blob).decode()}")
    except BadParameter:
        return


@given(st.text(max_size=200))
def test_any_text_is_refused(line: str) -> None:
    with pytest.raises(BadParameter):
        parse_ssh_public_key(line)


def test_the_principals_of_a_host_stand_in_their_order_and_once() -> None:
    assert build_host_principals(HOST_ID, "node1", CLUSTER, ("node1", "10.0.0.1", "localhost")) == (
        f"{HOST_ID}.{CLUSTER}",
        HOST_ID,
        f"node1.{CLUSTER}",
        "node1",
        "localhost",
        "127.0.0.1",
        "::1",
        "10.0.0.1",
    )


def test_a_host_without_a_name_has_its_id() -> None:
    principals = build_host_principals(HOST_ID, "", CLUSTER, ("0.0.0.0",), remote_addr="192.0.2.7")
    assert principals == (f"{HOST_ID}.{CLUSTER}", HOST_ID, "localhost", "127.0.0.1", "::1", "192.0.2.7")


@pytest.mark.parametrize("name", ["*", "node?", "!a", "a,b", OTHER_HOST_ID, f"{OTHER_HOST_ID}.{CLUSTER}"])
def test_hostile_36_a_principal_that_is_a_pattern_or_another_host_is_refused(name: str) -> None:
    with pytest.raises(BadParameter):
        build_host_principals(HOST_ID, name, CLUSTER)
    with pytest.raises(BadParameter):
        build_host_principals(HOST_ID, "node1", CLUSTER, (name,))


def test_a_host_certificate_states_role_and_cluster() -> None:
    certificate = _read(_sign_host(principals=("a", "b")))
    assert certificate.type is SSHCertificateType.HOST
    assert certificate.key_id == f"{HOST_ID}.{CLUSTER}".encode()
    assert certificate.valid_principals == [b"a", b"b"]
    assert certificate.extensions == {b"x-teleport-authority": CLUSTER.encode(), b"x-teleport-role": b"Node"}
    assert certificate.critical_options == {}
    assert (certificate.valid_after, certificate.valid_before) == (NOW.timestamp(), (NOW + YEAR).timestamp())
    assert certificate.signature_key() == parse_ssh_public_key(PAIR.public_key)


def test_a_user_certificate_states_user_logins_and_roles() -> None:
    certificate = _read(_sign_user("alice", ("root", "ubuntu")))
    assert certificate.type is SSHCertificateType.USER
    assert certificate.key_id == b"alice"
    assert certificate.valid_principals == [b"root", b"ubuntu", INTERNAL_PRINCIPAL.encode()]
    assert certificate.extensions[b"permit-pty"] == b""
    assert json.loads(certificate.extensions[b"teleport-roles"]) == {"version": "v1", "roles": ["editor"]}


def test_a_user_without_logins_has_none_instead_of_all() -> None:
    assert _read(_sign_user(principals=())).valid_principals == [INTERNAL_PRINCIPAL.encode()]


@pytest.mark.parametrize(("user", "logins"), [("", ()), ("a\n", ()), ("a", ("",)), ("a", ("r\x00",))])
def test_a_user_or_login_without_a_name_is_refused(user: str, logins: tuple[str, ...]) -> None:
    with pytest.raises(BadParameter):
        _sign_user(user, logins)


def test_a_host_without_principals_is_refused() -> None:
    with pytest.raises(BadParameter, match="principals"):
        _sign_host(principals=())
    assert _sign_host(principals=("a",) * MAX_PRINCIPALS)
    with pytest.raises(BadParameter, match="principals"):
        _sign_host(principals=("a",) * (MAX_PRINCIPALS + 1))


def test_a_certificate_without_a_life_is_refused() -> None:
    for not_after in (NOW, NOW - timedelta(seconds=1)):
        with pytest.raises(BadParameter, match="would end before it begins"):
            SIGNER.sign_user(
                KEY.public_key(),
                cluster_name=CLUSTER,
                user="a",
                principals=(),
                not_before=NOW,
                not_after=not_after,
            )


def test_a_serial_number_is_random_unless_it_is_given() -> None:
    assert _read(_sign_host()).serial != _read(_sign_host()).serial


@pytest.mark.parametrize(
    "key",
    [
        KEY.public_key(),
        ec.generate_private_key(ec.SECP256R1()).public_key(),
        ec.generate_private_key(ec.SECP521R1()).public_key(),
        rsa.generate_private_key(public_exponent=65537, key_size=2048).public_key(),
    ],
    ids=["Ed25519", "P-256", "P-521", "RSA"],
)
@pytest.mark.skipif(
    which("ssh-keygen") is None, reason="ssh-keygen is not installed: OpenSSH's own reading is untested"
)
def test_openssh_reads_what_we_sign(key: SshPublicKey, tmp_path: Path) -> None:
    path = tmp_path / "key-cert.pub"
    path.write_text(_sign_host(key, build_host_principals(HOST_ID, "node1", CLUSTER)))
    shown = subprocess.run(["ssh-keygen", "-L", "-f", path], capture_output=True, text=True, check=True).stdout
    assert "host certificate" in shown
    assert f'Key ID: "{HOST_ID}.{CLUSTER}"' in shown
    assert "x-teleport-role" in shown
    assert f"node1.{CLUSTER}" in shown


@pytest.mark.skipif(
    which("ssh-keygen") is None, reason="ssh-keygen is not installed: OpenSSH's own reading is untested"
)
def test_openssh_reads_the_permissions_of_a_user(tmp_path: Path) -> None:
    path = tmp_path / "key-cert.pub"
    path.write_text(_sign_user())
    shown = subprocess.run(["ssh-keygen", "-L", "-f", path], capture_output=True, text=True, check=True).stdout
    assert "user certificate" in shown
    assert "permit-pty" in shown
    assert "Critical Options: (none)" in shown
