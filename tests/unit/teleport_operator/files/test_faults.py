from typing import Any

import pytest

from support.declared import JUDGES, KUBERNETES, LONG_NAME
from teleport_operator.declaration import NoteReason
from teleport_operator.files.faults import find_notes, find_problems

HEAD = {"apiVersion": "resources.teleport.dev/v2", "kind": "TeleportProvisionToken"}


def build(spec: object = None, **metadata: object) -> dict[str, Any]:
    return {**HEAD, "metadata": {"name": LONG_NAME, **metadata}, "spec": KUBERNETES if spec is None else spec}


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (
            build() | {"apiVersion": "resources.teleport.dev/v1"},
            "apiVersion: is not the operator's; write resources.tele",
        ),
        ({**HEAD, "spec": KUBERNETES}, "metadata: must be a mapping"),
        ({**HEAD, "metadata": ["web"], "spec": KUBERNETES}, "metadata: must be a mapping"),
        ({**HEAD, "metadata": {}, "spec": KUBERNETES}, "metadata.name: is missing"),
        (build(name=5), "metadata.name: is none that Kubernetes takes"),
        (build(name="My-Token"), "metadata.name: is none that Kubernetes takes"),
        (build(name="a" * 254), "metadata.name: is none that Kubernetes takes"),
        (build(name="web\n"), "metadata.name: is none that Kubernetes takes"),
        (build(name="{{ uuidv4 }}"), "metadata.name: is another one each time the chart is rendered"),
        (build(expires="soon"), "metadata.expires: is no field of Kubernetes"),
        (build(lables={}), "metadata.lables: unknown field; did you mean labels?"),
        (build(labels=["a"]), "metadata.labels: must be a mapping"),
        (build(annotations={"teleport.dev/keep": True}), "metadata.annotations[teleport.dev/keep]: must be text"),
        (
            build(annotations={"resources.teleport.dev/expires": "soon"}),
            "metadata.annotations[resources.teleport.dev/exp",
        ),
        (build() | {"spek": {}}, "spek: unknown field; did you mean spec?"),
        (build([]), "spec: token has no roles"),
        (build("roles"), "spec: must be a mapping"),
    ],
)
def test_a_fault_is_named(raw: dict[str, Any], problem: str) -> None:
    (found,) = find_problems(raw, JUDGES)
    assert str(found).startswith(problem)


@pytest.mark.parametrize(
    "raw",
    [
        build(),
        build(name="a" * 253),
        build(name="web.apps"),
        build(name="{{ .Release.Name }}-token"),
        build(labels={"a": "b"}, annotations=None, creationTimestamp=None, resourceVersion="1", managedFields=[]),
        build(labels={"a": "b"}) | {"status": {"conditions": []}},
    ],
)
def test_what_kubernetes_takes_is_no_fault(raw: dict[str, Any]) -> None:
    assert find_problems(raw, JUDGES) == ()


def test_nothing_is_said_of_what_helm_has_still_to_render() -> None:
    spec = {**KUBERNETES, "roles": "{{ .Values.roles | toJson }}", "ttl": "{{ .Values.ttl }}"}
    raw = build(spec, annotations={"resources.teleport.dev/expires": "{{ .Values.expires }}"})
    assert (find_problems(raw, JUDGES), find_notes(raw, JUDGES)) == ((), ())


def test_a_name_that_is_the_secret_is_pointed_out() -> None:
    raw = build({"roles": ["Node"]})
    assert find_problems(raw, JUDGES) == ()
    assert [note.reason for note in find_notes(raw, JUDGES)] == [NoteReason.NAME_IS_SECRET]
