"""What becomes of objects after they are stored: status, columns, and guards that came later than they did."""

from typing import Any

import pytest
import yaml

from support.declared import CRD_FILE, KUBERNETES
from support.token_objects import DEFINITIONS, TokenObjects
from teleport_operator.declaration import FINALIZER
from teleport_operator.definition import NAME, find_gaps

RULE: dict[str, Any] = {"service_account": "apps:web", "service_account_name": "web"}
INVALID: dict[str, Any] = {
    "without-a-spec": None,
    "roles-missing": {"secret": {}},
    "roles-unknown": {"roles": ["Nodee"], "secret": {}},
    "short": {"roles": ["Node"]},
    "two-ends": {"roles": ["Node"], "secret": {}, "ttl": "1h", "expires": "2030-01-01T00:00:00Z"},
    "bot-without-a-name": {"roles": ["Bot"], "secret": {}},
    "a-rule-of-both-kinds": {**KUBERNETES, "kubernetes": {"allow": [RULE]}},
    "a-policy-unknown": {**KUBERNETES, "deletionPolicy": "Perhaps"},
}
"""Objects that were let in before there were guards."""
CONDITION = {"type": "Ready", "status": "False", "reason": "Invalid", "lastTransitionTime": "2026-01-01T00:00:00Z"}


def build_condition(type_: str, message: str = "") -> dict[str, Any]:
    return {**CONDITION, "type": type_, "message": message}


def test_an_object_is_under_way_before_the_operator_has_spoken(installed: TokenObjects) -> None:
    installed.create("fresh", KUBERNETES)
    (ready,) = installed.get("fresh")["status"]["conditions"]
    assert (ready["type"], ready["status"], ready["reason"]) == ("Ready", "Unknown", "Pending")


def test_the_columns_show_the_status(installed: TokenObjects) -> None:
    installed.create("shown", KUBERNETES)
    before = installed.render_table("shown")
    status = {
        "expires": "2030-01-01T00:00:00Z",
        "joins": 3,
        "lastJoin": {"time": "2026-01-01T00:00:00Z"},
        "secret": {"name": "agents"},
        "conditions": [build_condition("Active") | {"status": "True"}],
    }
    assert installed.apply_status("shown", status).accepted
    after = installed.render_table("shown")
    assert (before["Method"], before["Roles"], before["Active"], before["Expires"]) == (
        "kubernetes",
        '["App"]',
        None,
        None,
    )
    assert (after["Active"], after["Expires"], after["Joins"], after["Secret"]) == (
        "True",
        "2030-01-01T00:00:00Z",
        3,
        "agents",
    )
    assert after["Last Join"].endswith("d")


def test_a_condition_that_two_wrote_can_be_dropped_by_one(installed: TokenObjects) -> None:
    installed.create("co-owned", KUBERNETES)
    both = {"conditions": [build_condition("Ready"), build_condition("Stalled")]}
    assert installed.apply_status("co-owned", both, manager="operator").accepted
    assert installed.apply_status("co-owned", both, manager="former-operator").accepted
    assert installed.apply_status("co-owned", {"conditions": [build_condition("Ready")]}, manager="operator").accepted


def test_a_condition_that_no_longer_holds_vanishes_with_the_next_status(installed: TokenObjects) -> None:
    installed.create("recovered", KUBERNETES)
    installed.apply_status("recovered", {"conditions": [build_condition("Ready"), build_condition("Stalled")]})
    installed.apply_status("recovered", {"conditions": [build_condition("Ready", "now it is well")]})
    conditions = installed.get("recovered")["status"]["conditions"]
    assert [(one["type"], one["message"]) for one in conditions] == [("Ready", "now it is well")]


def test_a_status_field_of_a_newer_operator_is_kept(installed: TokenObjects) -> None:
    installed.create("newer", KUBERNETES)
    assert installed.apply_status("newer", {"novelty": {"deep": 1}}).accepted
    assert installed.get("newer")["status"]["novelty"] == {"deep": 1}


def test_a_status_does_not_change_the_spec_nor_the_generation(installed: TokenObjects) -> None:
    installed.create("steady", KUBERNETES)
    installed.apply_status("steady", {"observedGeneration": 1})
    found = installed.get("steady")
    assert (found["metadata"]["generation"], found["spec"]) == (1, KUBERNETES)


def without_guards(schema: Any) -> Any:
    """Return a schema that lets everything in."""
    if isinstance(schema, list):
        return [without_guards(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    guards = {"required", "enum", "pattern", "minItems", "minProperties", "format", "x-kubernetes-validations"}
    return {key: without_guards(value) for key, value in schema.items() if key not in guards}


@pytest.fixture(scope="module")
def tightened(installed: TokenObjects) -> TokenObjects:
    """Store invalid objects while there are no guards, then put the guards up."""
    definition = yaml.safe_load(CRD_FILE.read_text())
    schema = definition["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    del schema["x-kubernetes-validations"]
    schema["properties"]["spec"] = without_guards(schema["properties"]["spec"])
    installed.install(definition)
    installed.wait_for("short", INVALID["short"], accepted=True)
    assert installed.create("to-mend", INVALID["two-ends"]).accepted
    for name, spec in INVALID.items():
        assert installed.create(name, spec).accepted, name
        assert installed.merge(name, {"metadata": {"finalizers": [FINALIZER]}}).accepted
    installed.install()
    installed.wait_for("short", INVALID["short"], accepted=False)
    return installed


@pytest.mark.parametrize("name", INVALID)
def test_an_invalid_object_of_old_gets_its_status_and_can_go(tightened: TokenObjects, name: str) -> None:
    status = {"observedGeneration": 1, "conditions": [build_condition("Ready", "roles are missing")]}
    answer = tightened.apply_status(name, status)
    assert answer.accepted, answer
    assert tightened.merge(name, {"metadata": {"labels": {"seen": "yes"}}}).accepted
    assert tightened.delete(name).accepted
    assert tightened.exists(name)
    released = tightened.merge(name, {"metadata": {"finalizers": []}})
    assert released.accepted, released
    assert not tightened.exists(name)


@pytest.mark.parametrize("name", INVALID)
def test_such_an_object_is_not_let_in_again(tightened: TokenObjects, name: str) -> None:
    assert tightened.create(name, INVALID[name], "dryRun=All").code == 422


def test_an_invalid_object_of_old_may_change_for_the_better_alone(tightened: TokenObjects) -> None:
    assert tightened.merge("to-mend", {"spec": {"driftPolicy": "Report"}}).fields == ["spec.ttl"]
    assert tightened.merge("to-mend", {"spec": {"ttl": None}}).accepted


def test_the_definition_that_the_api_server_gives_back_lacks_nothing(installed: TokenObjects) -> None:
    assert find_gaps(installed.ask("GET", f"{DEFINITIONS}/{NAME}").body) == ()
