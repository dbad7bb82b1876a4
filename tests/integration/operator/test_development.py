"""An operator on a developer's machine: no join and no pod, but an identity file and a kubeconfig."""

from pathlib import Path

from support.cluster import AuthServer
from support.operator_cluster import Objects, OperatorFactory, find_token
from support.operator_specs import build_spec


def test_an_identity_file_replaces_the_join(
    make_operator: OperatorFactory, objects: Objects, auth: AuthServer, name: str, tmp_path: Path
) -> None:
    identity = tmp_path / "identity.pem"
    auth.tctl("auth", "sign", "--user=developer", f"--out={identity}")
    make_operator("--token=no-such-token", f"--identity-file={identity}").start()
    objects.apply(name, build_spec())
    objects.wait_for(name, "Synced")
    assert find_token(auth, name) is not None
    assert [each["user"] for each in auth.read_audit() if each.get("token_name") == name] == ["developer"]
