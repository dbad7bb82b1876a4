from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from support.declared import CASES, JUDGES, KUBERNETES, LONG_NAME
from teleport.resources.strict_yaml import render_yaml
from teleport_operator.files.correction import correct
from teleport_operator.files.faults import find_faults, find_problems
from teleport_operator.files.text import parse_manifests

HEAD = {"apiVersion": "resources.teleport.dev/v2", "kind": "TeleportProvisionToken"}
RANDOM = "Xk3+/Q9abcdefgABCDEFG0123456789+/zzzzzzzzzz="
RENDERED = "2026-11-21 12:49:54.100000001 +0000 UTC m=+3600.103456789"
GUIDE = """\
apiVersion: "resources.teleport.dev/v2"
kind: TeleportProvisionToken
metadata:
  name: {{ randBytes 32 }}
  expires: {{ now | dateModify "+1h" }}
spec:
  # use the minimal set of roles required (e.g. Node, Proxy, App, Kube, DB, WindowsDesktop)
  roles: [Node]
"""
"""As it stands in the guide, to be put into a chart."""
TWIN = {**HEAD, "metadata": {"name": "join-token"}, "spec": {"roles": ["Node"], "ttl": "1h", "secret": {}}}
"""What the guide's manifest means."""


def build(spec: object, name: object = LONG_NAME, **metadata: object) -> dict[str, Any]:
    return {**HEAD, "metadata": {"name": name, **metadata}, "spec": spec}


def rule(**fields: str) -> dict[str, Any]:
    return {**KUBERNETES, "kubernetes": {"allow": [fields]}}


@pytest.mark.parametrize(
    "text",
    [
        pytest.param(GUIDE, id="as a template"),
        pytest.param(
            GUIDE.replace("{{ randBytes 32 }}", RANDOM).replace('{{ now | dateModify "+1h" }}', RENDERED), id="rendered"
        ),
    ],
)
def test_the_manifest_of_the_guide_is_named_fault_by_fault_and_mended(text: str) -> None:
    (document,) = parse_manifests(text)
    faults = find_faults(document, JUDGES)
    assert [(fault.line, fault.problem.path) for fault in faults] == [(4, "metadata.name"), (5, "metadata.expires")]
    assert correct(document.raw) == TWIN
    assert find_problems(TWIN, JUDGES) == ()


@pytest.mark.parametrize(
    ("raw", "mended"),
    [
        pytest.param(
            build({"rolls": ["Node"], "joinMethod": "token"}),
            build({"roles": ["Node"], "join_method": "token"}),
            id="typos",
        ),
        pytest.param(
            build(rule(service_acount="apps:web")), build(rule(service_account="apps:web")), id="a typo in a rule"
        ),
        pytest.param(
            build(rule(service_account="apps:*")),
            build(rule(service_account_namespace="apps", service_account_name="*")),
            id="a pattern where none is read",
        ),
        pytest.param(build({"roles": "nodee, app"}), build({"roles": ["Node", "App"]}), id="roles as text"),
        pytest.param(
            build({"roles": ["Node"], "expires": "2030-01-01 00:00:00 +0000 UTC"}),
            build({"roles": ["Node"], "expires": "2030-01-01T00:00:00Z"}),
            id="a time as Go prints it",
        ),
        pytest.param(
            build({"roles": ["Node"]}, expires="2030-01-01T00:00:00Z"),
            build({"roles": ["Node"], "expires": "2030-01-01T00:00:00Z"}),
            id="an end in the metadata",
        ),
        pytest.param(
            build({"roles": ["Node"], "ttl": "1h"}, expires="2030-01-01T00:00:00Z"),
            build({"roles": ["Node"], "ttl": "1h"}),
            id="an end in the metadata beside one in the spec",
        ),
        pytest.param(
            build({"roles": ["Node"]}, expires="2026-11-21 12:49:54 +0000 UTC m=+5400.1"),
            build({"roles": ["Node"], "ttl": "1h30m"}),
            id="a life by the stopwatch",
        ),
        pytest.param(
            build({"roles": ["Node"]}, expires="2026-11-21 12:49:54 +0000 UTC m=+59.9"),
            build({"roles": ["Node"], "expires": "2026-11-21T12:49:54Z"}),
            id="no life by the stopwatch",
        ),
        pytest.param(
            build({"roles": ["Node"]}, name="short"),
            build({"roles": ["Node"], "secret": {}}, name="short"),
            id="a short secret",
        ),
        pytest.param(
            build(KUBERNETES, name="My_Web.App"), build(KUBERNETES, name="my-web-app"), id="a name of capitals"
        ),
        pytest.param(
            build(KUBERNETES, annotations={"teleport.dev/keep": True, "n": 5}),
            build(KUBERNETES, annotations={"teleport.dev/keep": "true", "n": "5"}),
            id="annotations that are no text",
        ),
        pytest.param(build(KUBERNETES) | {"apiVersion": "v1"}, build(KUBERNETES), id="another version"),
    ],
)
def test_a_fault_is_mended(raw: dict[str, Any], mended: dict[str, Any]) -> None:
    assert find_problems(raw, JUDGES)
    assert correct(raw) == mended
    assert find_problems(mended, JUDGES) == ()


@pytest.mark.parametrize(
    "raw",
    [
        pytest.param(build({"roles": ["Node"], "ttl": "1h", "expires": "2030-01-01T00:00:00Z"}), id="two ends"),
        pytest.param(build({"roles": ["Bot"]}), id="a bot without a name"),
        pytest.param(build(rule(service_account="apps:web", pigeon="web")), id="a field that nobody meant"),
        pytest.param(build(rule(service_account="apps")), id="a ServiceAccount without a name"),
        pytest.param(
            build(rule(service_account="apps:*", service_account_name="web", service_account_namespace="apps")),
            id="a rule of both kinds",
        ),
        pytest.param(build({**KUBERNETES, "role": ["Db"]}), id="a typo whose place is taken"),
        pytest.param(build({"roles": ["Node"], "ttl": "1d"}), id="a day"),
    ],
)
def test_what_only_its_author_can_decide_is_left(raw: dict[str, Any]) -> None:
    assert find_problems(raw, JUDGES)
    assert correct(raw) == raw


def test_hostile_67_of_a_name_that_was_meant_as_a_secret_nothing_is_kept() -> None:
    mended = correct(build({"roles": ["Node"]}, name=RANDOM), "join-token-2")
    assert mended["metadata"] == {"name": "join-token-2"}


def test_a_name_that_helm_makes_and_that_stays_is_kept() -> None:
    name = "{{ .Release.Name }}-join-token"
    assert correct(build({"roles": ["Node"], "secret": {}}, name=name))["metadata"] == {"name": name}


def test_a_name_that_the_api_server_makes_stays_its_own() -> None:
    raw = {**HEAD, "metadata": {"generateName": "web-"}, "spec": KUBERNETES}
    assert (correct(raw), find_problems(raw, JUDGES)) == (raw, ())


@pytest.mark.parametrize("case", CASES["accepted"], ids=[case["id"] for case in CASES["accepted"]])
def test_a_manifest_without_a_fault_stays_as_it_is(case: dict[str, Any]) -> None:
    raw = build({**case["spec"], "roles": ["App"]}, name=case.get("name", LONG_NAME))
    if not find_problems(raw, JUDGES):
        assert correct(raw) == raw


SCALARS = (
    st.none() | st.booleans() | st.integers() | st.text(max_size=12) | st.sampled_from(["apps:*", "{{ x }}", "Node"])
)
JSON = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["roles", "kubernetes", "allow", "service_account", "secret", "expires", "name", "labels"])
            | st.text(max_size=8),
            inner,
            max_size=4,
        )
    ),
    max_leaves=16,
)


@given(metadata=JSON, spec=JSON)
def test_whatever_stands_in_a_manifest_is_mended_once_and_for_all(metadata: object, spec: object) -> None:
    raw = {**HEAD, "metadata": metadata, "spec": spec}
    find_problems(raw, JUDGES)
    mended = correct(raw)
    assert correct(mended) == mended
    assert yaml.safe_load(render_yaml(mended)) == mended
