import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.auth import HOST_ID, InProcessAuth
from teleport.api.identity import MAX_FILE_BYTES, Identity, load_identity, parse_identity_file, render_identity_file
from teleport.auth.server_identity import store_admin_identity
from teleport.errors import BadParameter, NotFound


@pytest.fixture
async def path(tmp_path: Path) -> Path:
    """An identity file as the auth server writes it."""
    auth = await InProcessAuth.start()
    path = tmp_path / "identity"
    store_admin_identity(path, auth.authority, HOST_ID)
    return path


@pytest.fixture
def identity(path: Path) -> Identity:
    return load_identity(path)


def test_an_identity_reads_back(identity: Identity) -> None:
    assert parse_identity_file(render_identity_file(identity)) == identity
    assert identity.ssh_certificate.startswith("ssh-ed25519-cert-v01@openssh.com ")
    assert len(identity.ssh_ca_keys) == 1


def test_further_authorities_are_kept_in_order(identity: Identity) -> None:
    more = identity.model_copy(
        update={
            "host_ca_certificates": identity.host_ca_certificates * 2,
            "ssh_ca_keys": (*identity.ssh_ca_keys, "ssh-ed25519 AAAA"),
        }
    )
    assert parse_identity_file(render_identity_file(more)) == more


def test_white_space_and_other_line_ends_do_not_matter(identity: Identity) -> None:
    text = "\n\n" + render_identity_file(identity).replace("\n", "\r\n") + "\n\n"
    assert parse_identity_file(text).ssh_certificate == identity.ssh_certificate


def test_no_private_key_is_in_the_repr(identity: Identity) -> None:
    assert "PRIVATE KEY" not in repr(identity)


@pytest.mark.parametrize("part", ["tls_key", "tls_certificate", "ssh_key", "ssh_certificate"])
def test_a_part_that_is_missing_or_stands_twice_is_refused(identity: Identity, part: str) -> None:
    text, value = render_identity_file(identity), getattr(identity, part).strip()
    with pytest.raises(BadParameter, match="tctl auth sign"):
        parse_identity_file(text.replace(value + "\n", "", 1).replace(identity.host_ca_certificates[0], "", 1))
    if part != "tls_certificate":
        with pytest.raises(BadParameter, match="tctl auth sign"):
            parse_identity_file(text + value + "\n")


@pytest.mark.parametrize("extra", ["-----BEGIN DUCK-----\nMA==\n-----END DUCK-----\n", "a line of prose\n"])
def test_what_does_not_belong_is_refused(identity: Identity, extra: str) -> None:
    with pytest.raises(BadParameter):
        parse_identity_file(render_identity_file(identity) + extra)


def test_a_line_that_is_too_long_is_refused_without_being_quoted(identity: Identity) -> None:
    text = render_identity_file(identity).replace(identity.ssh_certificate, "secret" * 1000)
    with pytest.raises(BadParameter) as caught:
        parse_identity_file(text)
    assert "secret" not in f"{caught.value} {caught.value.__cause__}"


@given(st.text(max_size=500) | st.text("-BEGINDCRTFAOPVKY \n", max_size=500))
def test_any_text_is_refused(text: str) -> None:
    with pytest.raises(BadParameter):
        parse_identity_file(text)


def test_a_missing_file_is_not_found(tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="there is no identity file"):
        load_identity(tmp_path / "missing")


def test_what_is_no_regular_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match=r"Is a directory|not a regular file"):
        load_identity(tmp_path)
    with pytest.raises(BadParameter, match="not a regular file"):
        load_identity(Path("/dev/zero"))


def test_a_file_that_is_no_identity_is_named(path: Path) -> None:
    path.write_text("nothing of use")
    with pytest.raises(BadParameter, match=f"identity file {path}: not an identity file"):
        load_identity(path)


def test_a_file_that_is_too_large_or_no_text_is_refused(tmp_path: Path, path: Path) -> None:
    large = tmp_path / "large"
    large.write_bytes(path.read_bytes() + b"\n" * (MAX_FILE_BYTES - path.stat().st_size))
    assert load_identity(large) == load_identity(path)
    with large.open("ab") as file:
        file.write(b"\n")
    with pytest.raises(BadParameter, match="is larger than"):
        load_identity(large)
    large.write_bytes(os.urandom(1000) + b"\xff")
    with pytest.raises(BadParameter, match="is not text"):
        load_identity(large)
