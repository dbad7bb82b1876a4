import stat
from pathlib import Path

import pytest

from support.fake_cluster import (
    CLUSTER_NAME,
    HOST_CA,
    NEXT_HOST_CA,
    NEXT_SSH_KEY,
    SSH_FINGERPRINT,
    SSH_KEY,
    FakeCluster,
    run_tctl,
    tctl_output,
)
from teleport.api.identity import load_identity
from teleport.api.messages import UserCertificatesRequest
from teleport.cli.tctl.auth_export import compute_fingerprint
from teleport.cli.tctl.auth_sign import MAX_ROLES, parse_ttl, parse_user_roles
from teleport.errors import AccessDenied, AlreadyExists, BadParameter, NotFound

USER_LINE = f"cert-authority {SSH_KEY} clustername={CLUSTER_NAME}&type=user\n"
HOST_LINES = "".join(
    f"@cert-authority {CLUSTER_NAME},*.{CLUSTER_NAME} {key} type=host\n" for key in (SSH_KEY, NEXT_SSH_KEY)
)


@pytest.fixture
def cluster() -> FakeCluster:
    return FakeCluster()


@pytest.mark.parametrize(
    ("args", "output"),
    [
        ([], USER_LINE + HOST_LINES),
        (["--type=user"], USER_LINE),
        (["--type=host"], HOST_LINES),
        (["--type=openssh"], USER_LINE.replace(SSH_KEY, NEXT_SSH_KEY)),
        (["--type=tls-host"], HOST_CA),
        (["--type=tls-user"], NEXT_HOST_CA),
        (["--type=db"], NEXT_HOST_CA),
        (["--type=host", f"--fingerprint={SSH_FINGERPRINT}"], HOST_LINES.splitlines(keepends=True)[0]),
    ],
)
def test_public_keys_are_exported_for_their_use(cluster: FakeCluster, args: list[str], output: str) -> None:
    assert tctl_output(cluster, "auth", "export", *args) == output


def test_private_keys_are_not_exported(cluster: FakeCluster) -> None:
    assert isinstance(run_tctl(cluster, "auth", "export", "--keys").exception, AccessDenied)
    assert cluster.calls == []


@pytest.mark.parametrize("args", [["--fingerprint=SHA256:none"], ["--type=saml-idp"]])
def test_a_key_that_is_not_there_is_not_found(cluster: FakeCluster, args: list[str]) -> None:
    assert isinstance(run_tctl(cluster, "auth", "export", *args).exception, NotFound)


def test_an_unknown_type_is_a_usage_error(cluster: FakeCluster) -> None:
    assert run_tctl(cluster, "auth", "export", "--type=x").exit_code == 2


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 not-base64!"])
def test_a_line_without_a_key_has_no_fingerprint(line: str) -> None:
    assert compute_fingerprint(line) == ""


def test_an_identity_file_is_written_for_its_owner_only(cluster: FakeCluster, tmp_path: Path) -> None:
    path = tmp_path / "ci.identity"
    tctl_output(cluster, "auth", "sign", "--user=ci", "--format=file", "-o", str(path), "--ttl=1h")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    identity = load_identity(path)
    assert identity.host_ca_certificates == (HOST_CA,)
    assert identity.ssh_ca_keys == (SSH_KEY, NEXT_SSH_KEY)
    (request,) = cluster.called("user_certificates")
    assert isinstance(request, UserCertificatesRequest)
    assert (request.user, request.roles, request.ttl_seconds) == ("ci", ("editor",), 3600)
    assert "PRIVATE" not in request.model_dump_json()
    assert [each.name for each in tmp_path.iterdir()] == ["ci.identity"]


def test_an_existing_file_is_replaced_only_when_told_so(cluster: FakeCluster, tmp_path: Path) -> None:
    path = tmp_path / "ci.identity"
    path.write_text("precious")
    args = ("auth", "sign", "--user=ci", "-o", str(path))
    assert isinstance(run_tctl(cluster, *args).exception, AlreadyExists)
    assert path.read_text() == "precious"
    assert cluster.calls == []
    tctl_output(cluster, *args, "--overwrite")
    load_identity(path)


def test_a_refusal_leaves_no_file(cluster: FakeCluster, tmp_path: Path) -> None:
    cluster.fail("user_certificates", AccessDenied("not for you"))
    result = run_tctl(cluster, "auth", "sign", "--user=ci", "-o", str(tmp_path / "ci.identity"))
    assert isinstance(result.exception, AccessDenied)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_is_missing_is_named_before_anything_is_signed(cluster: FakeCluster, tmp_path: Path) -> None:
    result = run_tctl(cluster, "auth", "sign", "--user=ci", "-o", str(tmp_path / "none" / "ci.identity"))
    assert isinstance(result.exception, NotFound)
    assert cluster.calls == []


@pytest.mark.parametrize(
    "args", [[], ["--user=ci"], ["--user=ci", "-o", "x", "--format=tls"], ["--user=ci", "-o", "x", "--roles=a,,b"]]
)
def test_a_usage_error_gives_2(cluster: FakeCluster, args: list[str]) -> None:
    assert run_tctl(cluster, "auth", "sign", *args).exit_code == 2


def test_hostile_43_the_life_of_an_identity_is_bounded() -> None:
    for text in ("1m", "87600h"):
        parse_ttl(text)
    for text in ("59s", "87600h1s", "0", "-1h", "NaN"):
        with pytest.raises(BadParameter):
            parse_ttl(text)


def test_the_number_of_roles_is_bounded() -> None:
    names = [f"role-{number}" for number in range(MAX_ROLES + 1)]
    assert parse_user_roles(",".join(names[:-1])) == tuple(names[:-1])
    with pytest.raises(BadParameter):
        parse_user_roles(",".join(names))
