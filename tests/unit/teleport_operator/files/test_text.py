from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.errors import BadParameter
from teleport_operator.files.text import find_value, parse_manifests

CHART = """\
# Source: chart/templates/settings.yaml
apiVersion: v1
kind: ConfigMap
data: &shared {a: b, a: c}
more: *shared
---
# Source: chart/templates/token.yaml
apiVersion: resources.teleport.dev/v2
kind: TeleportProvisionToken
metadata:
  name: web
  annotations:
    resources.teleport.dev/expires: never
spec:
  roles: [App]
  kubernetes:
    allow:
    - service_account: apps:web
    - service_account: apps:db
--- # and another one
kind: TeleportProvisionToken
metadata: {name: db}
"""


def test_our_documents_are_found_among_others_that_are_not_looked_at() -> None:
    assert [document.raw["metadata"]["name"] for document in parse_manifests(CHART)] == ["web", "db"]


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ("apiVersion", 8),
        ("metadata.name", 11),
        ("metadata.annotations[resources.teleport.dev/expires]", 13),
        ("spec.kubernetes.allow[1]", 19),
        ("spec.kubernetes.allow[1].service_account", 19),
        ("spec.kubernetes.allow[7].service_account", 17),
        ("spec.kubernetes.type", 16),
        ("spec.ttl", 14),
        ("status", 8),
    ],
)
def test_a_path_has_the_line_of_the_file_or_of_what_is_around_it(path: str, line: int) -> None:
    document = next(parse_manifests(CHART))
    assert document.find_line(path) == line


def test_lines_count_on_in_later_documents() -> None:
    *_, last = parse_manifests(CHART)
    assert last.find_line("metadata.name") == 22


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("metadata.name", "web"),
        ("metadata.annotations[resources.teleport.dev/expires]", "never"),
        ("spec.kubernetes.allow[1].service_account", "apps:db"),
        ("spec.kubernetes.allow[7]", None),
        ("spec.roles.first", None),
        ("status", None),
    ],
)
def test_a_path_has_its_value(path: str, value: object) -> None:
    assert find_value(next(parse_manifests(CHART)).raw, path) == value


def test_what_helm_has_still_to_render_is_text() -> None:
    (document,) = parse_manifests(
        "kind: TeleportProvisionToken\n"
        "metadata:\n"
        "  name: {{ .Release.Name }}-it's-token\n"
        "  labels:\n"
        '    {{- include "labels" . | nindent 4 }}\n'
        "spec:\n"
        "  {{- if .Values.roles }}\r\n"
        "  roles:\n"
        "  - {{ .Values.role | quote }}\n"
        "  {{- end }}\n"
    )
    assert document.raw["metadata"] == {"name": "{{ .Release.Name }}-it's-token", "labels": None}
    assert document.raw["spec"] == {"roles": ["{{ .Values.role | quote }}"]}
    assert document.find_line("spec.roles[0]") == 9


def test_a_template_that_cannot_be_read_is_to_be_rendered_first() -> None:
    text = "a: 1\n---\nkind: TeleportProvisionToken\nspec:\n  roles: [{{ .Values.role }}]\n"
    with pytest.raises(BadParameter, match=r"^line 5: .*helm template CHART"):
        list(parse_manifests(text))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("kind: TeleportProvisionToken\nspec: {roles: [Node]\n", "line 3"),
        ("kind: TeleportProvisionToken\nspec: {a: 1, a: 2}\n", "line 2: duplicate key 'a'"),
        ("kind: TeleportProvisionToken\nspec: &a [1]\nb: *a\n", "line 3: aliases"),
        ("kind: TeleportProvisionToken\nspec: " + "[" * 100, "nested deeper"),
    ],
)
def test_a_document_of_ours_that_is_no_plain_yaml_is_refused_with_its_line(text: str, words: str) -> None:
    with pytest.raises(BadParameter, match=words):
        list(parse_manifests(text))


@pytest.mark.parametrize(
    "text", ["", "---\n---\n", "# kind: TeleportProvisionToken\n", "kind: List\nx: TeleportProvisionToken"]
)
def test_a_file_may_hold_none(text: str) -> None:
    assert list(parse_manifests(text)) == []


@given(
    text=st.text(max_size=200).map("kind: TeleportProvisionToken\n".__add__)
    | st.text(alphabet="-{}[]: \nab'\"&*|>", max_size=80)
)
def test_whatever_stands_in_a_file_is_read_or_refused(text: str) -> None:
    with suppress(BadParameter):
        for document in parse_manifests(text):
            assert document.find_line("spec.kubernetes") >= 1
