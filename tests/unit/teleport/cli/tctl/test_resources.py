import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from support.fake_cluster import SSH_KEY, FakeCluster, run_tctl, tctl_output
from teleport.cli.tctl.reference import parse_one, parse_reference, parse_references
from teleport.errors import AlreadyExists, BadParameter, NotFound, TooLarge
from teleport.resources.authority import AuthoritySpec, CertAuthority, KeySet, SshKeyPair
from teleport.resources.model import Metadata
from teleport.resources.presence import Instance, InstanceSpec
from teleport.resources.role import SystemRole
from teleport.resources.strict_yaml import MAX_BYTES

SECRET = "abcd123-insecure-do-not-use-this"
MASKED = "*" * 24 + "use-this"
KEYS = KeySet(ssh=(SshKeyPair(public_key=SSH_KEY),))
YEAR_3000 = datetime(3000, 1, 1, tzinfo=UTC)

KUBERNETES_TOKEN = """\
kind: token
version: v2
metadata:
  name: kubernetes-token
  expires: "3000-01-01T00:00:00Z"
spec:
  roles: [App]
  join_method: kubernetes
"""
SECRET_TOKEN = f"""\
kind: token
metadata: {{name: {SECRET}}}
spec: {{roles: [Node]}}
"""


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.add_token("kubernetes-token", (SystemRole.APP,), YEAR_3000, method="kubernetes")
    cluster.add_token(SECRET)
    return cluster


def test_a_token_is_printed_as_in_the_guide(cluster: FakeCluster) -> None:
    document = yaml.safe_load(tctl_output(cluster, "get", "token/kubernetes-token"))
    assert list(document) == ["kind", "metadata", "spec", "version"]
    assert document["metadata"]["expires"] == "3000-01-01T00:00:00Z"
    assert document["spec"] == {"join_method": "kubernetes", "roles": ["App"]}


def test_several_resources_are_separated_documents(cluster: FakeCluster) -> None:
    output = tctl_output(cluster, "get", "tokens")
    assert output.count("---\n") == 1
    assert len(list(yaml.safe_load_all(output))) == 2


@pytest.mark.parametrize("output_format", ["yaml", "json", "text"])
def test_a_secret_is_masked_in_every_format_unless_asked_for(cluster: FakeCluster, output_format: str) -> None:
    args = ("get", "tokens", f"--format={output_format}")
    assert SECRET not in tctl_output(cluster, *args)
    assert MASKED in tctl_output(cluster, *args)
    assert SECRET in tctl_output(cluster, *args, "--with-secrets")


def test_json_is_an_array_even_of_one(cluster: FakeCluster) -> None:
    (document,) = json.loads(tctl_output(cluster, "get", "token/" + MASKED, "--format=json", "--with-secrets"))
    assert document["metadata"]["name"] == SECRET


def test_text_is_a_table_for_each_kind(cluster: FakeCluster) -> None:
    cluster.add(Instance(metadata=Metadata(name="6805"), spec=InstanceSpec(hostname="web")))
    spec = AuthoritySpec(cluster_name="c", active_keys=KEYS)
    cluster.add(CertAuthority(sub_kind="host", metadata=Metadata(name="c"), spec=spec))
    output = tctl_output(cluster, "get", "tokens,instances,cas", "--format=text")
    assert output.count("\n\n") == 2
    assert "Server ID" in output
    assert "c            host    never updated\n" in output


@pytest.mark.parametrize("reference", ["nonsense", "token/", "tokens,,nodes", "", "/x", "token/a\nb"])
def test_a_reference_that_names_nothing_is_a_usage_error(cluster: FakeCluster, reference: str) -> None:
    assert run_tctl(cluster, "get", reference).exit_code == 2


def test_an_unknown_name_is_not_found(cluster: FakeCluster) -> None:
    assert isinstance(run_tctl(cluster, "get", "token/unknown").exception, NotFound)


def test_a_further_slash_belongs_to_the_name() -> None:
    reference = parse_reference("app/host-id/grafana")
    assert (reference.kind, reference.name) == ("app_server", "host-id/grafana")


@given(st.text(max_size=40))
def test_a_reference_is_read_or_refused(text: str) -> None:
    for parse in (parse_one, parse_references):
        try:
            parse(text)
        except BadParameter:
            continue


def test_resources_are_created_from_a_file_of_several_documents(tmp_path: Path) -> None:
    cluster = FakeCluster()
    path = tmp_path / "tokens.yaml"
    path.write_text(KUBERNETES_TOKEN + "---\n" + SECRET_TOKEN)
    assert tctl_output(cluster, "create", str(path)) == (
        f'provision_token "kubernetes-token" has been created\nprovision_token "{MASKED}" has been created\n'
    )
    assert cluster.tokens() == ["kubernetes-token", SECRET]


@pytest.mark.parametrize("args", [["create"], ["create", "-"]])
def test_resources_are_created_from_the_standard_input(args: list[str]) -> None:
    cluster = FakeCluster()
    tctl_output(cluster, *args, stdin=KUBERNETES_TOKEN)
    assert cluster.tokens() == ["kubernetes-token"]


def test_one_bad_document_creates_nothing() -> None:
    cluster = FakeCluster()
    result = run_tctl(cluster, "create", stdin=KUBERNETES_TOKEN + "---\nkind: token\nspec: {rolls: [Node]}\n")
    assert isinstance(result.exception, BadParameter)
    assert cluster.calls == []


def test_case_gen_003_a_taken_name_is_refused_without_force(cluster: FakeCluster) -> None:
    assert isinstance(run_tctl(cluster, "create", stdin=KUBERNETES_TOKEN).exception, AlreadyExists)
    for flag in ("-f", "--force"):
        tctl_output(cluster, "create", flag, stdin=KUBERNETES_TOKEN)


def test_what_get_prints_can_be_created_again(cluster: FakeCluster) -> None:
    before = tctl_output(cluster, "get", "token/kubernetes-token")
    tctl_output(cluster, "create", "-f", stdin=before)
    assert (
        yaml.safe_load(tctl_output(cluster, "get", "token/kubernetes-token"))["spec"] == yaml.safe_load(before)["spec"]
    )


@pytest.mark.parametrize("text", ["", "---\n", "# nothing\n"])
def test_an_empty_input_is_refused(text: str) -> None:
    assert isinstance(run_tctl(FakeCluster(), "create", stdin=text).exception, BadParameter)


def test_an_input_that_is_too_large_or_no_text_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "input"
    path.write_bytes(b"#" * MAX_BYTES)
    assert "no resource" in str(run_tctl(FakeCluster(), "create", str(path)).exception)
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    assert isinstance(run_tctl(FakeCluster(), "create", str(path)).exception, TooLarge)
    path.write_bytes(b"\xff\xfe")
    assert "UTF-8" in str(run_tctl(FakeCluster(), "create", str(path)).exception)


def test_a_missing_file_is_a_usage_error(tmp_path: Path) -> None:
    assert run_tctl(FakeCluster(), "create", str(tmp_path / "none")).exit_code == 2


@pytest.mark.parametrize("typed", [f"token/{SECRET}", f"tokens/{MASKED}"])
def test_rm_echoes_what_was_typed(cluster: FakeCluster, typed: str) -> None:
    name = typed.partition("/")[2]
    assert tctl_output(cluster, "rm", typed) == f'token "{name}" has been deleted\n'
    assert cluster.tokens() == ["kubernetes-token"]


def test_rm_of_a_whole_kind_is_refused(cluster: FakeCluster) -> None:
    assert run_tctl(cluster, "rm", "tokens").exit_code == 2
    assert len(cluster.tokens()) == 2


def test_rm_of_something_unknown_is_not_found(cluster: FakeCluster) -> None:
    assert isinstance(run_tctl(cluster, "rm", "node/unknown").exception, NotFound)
