from pathlib import Path

import pytest
import yaml
from click.testing import Result

from support.fake_cluster import FakeCluster, run_tctl

SOUND = """\
apiVersion: resources.teleport.dev/v2
kind: TeleportProvisionToken
metadata: {name: web}
spec: {roles: [App], secret: {}}
"""
FAULTY = """\
apiVersion: resources.teleport.dev/v2
kind: TeleportProvisionToken
metadata: {name: Xk3+/Q9ab=}
spec:
  roles: [Node, Bot]
  ttl: 1h
"""


def check(text: str, *arguments: str) -> Result:
    return run_tctl(FakeCluster(), "manifests", "check", *arguments, stdin=text)


def test_manifests_without_a_fault_are_said_to_be_so() -> None:
    result = check(f"{SOUND}---\n{SOUND}")
    assert (result.exit_code, result.stderr) == (0, "")
    assert result.stdout == "there is no fault in 2 of 2 manifests of kind TeleportProvisionToken\n"


def test_faults_are_named_with_file_and_line_and_the_manifest_is_printed_corrected(tmp_path: Path) -> None:
    path = tmp_path / "token.yaml"
    path.write_text(f"{SOUND}---\n{FAULTY}")
    result = run_tctl(FakeCluster(), "manifests", "check", str(path))
    assert [line.split(": ")[:2] for line in result.stderr.splitlines()] == [
        [f"{path}:8", "metadata.name"],
        [f"{path}:9", "spec"],
    ]
    assert "spec.bot_name" in result.stdout.splitlines()[0]
    corrected = yaml.safe_load(result.stdout)
    assert corrected["metadata"] == {"name": "join-token"}
    assert corrected["spec"] == {"roles": ["Node", "Bot"], "ttl": "1h", "secret": {}}


def test_a_fault_ends_with_status_one_and_a_count() -> None:
    result = check(f"{SOUND}---\n{FAULTY}")
    assert result.exit_code == 1
    assert "there are faults in 1 of 2 manifests" in str(result.exception)


def test_objects_that_were_meant_as_secrets_get_names_of_their_own() -> None:
    documents = list(yaml.safe_load_all(check(f"{FAULTY}---\n{FAULTY}").stdout))
    assert [document["metadata"]["name"] for document in documents] == ["join-token", "join-token-2"]


def test_a_name_that_is_the_secret_is_warned_of() -> None:
    result = check(SOUND.replace("secret: {}", "ttl: 1h").replace("name: web", "name: a-name-of-sixteen-chars"))
    assert result.exit_code == 0
    assert result.stderr.startswith("<stdin>:3: warning: whoever may list these objects reads the token")


@pytest.mark.parametrize("text", ["", "kind: ConfigMap\n"])
def test_a_file_in_which_there_is_nothing_to_check_is_refused(text: str) -> None:
    result = check(text)
    assert result.exit_code == 1
    assert "there is no manifest of kind TeleportProvisionToken" in str(result.exception)


def test_hostile_31_what_could_steer_a_terminal_is_written_out() -> None:
    result = check(SOUND.replace("secret: {}", '"\\e[2J": 1'))
    assert "\x1b" not in result.stderr + result.stdout
    assert "unknown field" in result.stderr


def test_no_cluster_is_asked() -> None:
    cluster = FakeCluster()
    run_tctl(cluster, "manifests", "check", stdin=SOUND)
    assert (cluster.calls, cluster.flags) == ([], None)
