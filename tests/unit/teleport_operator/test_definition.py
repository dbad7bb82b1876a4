from copy import deepcopy
from typing import Any

import pytest
import yaml

from support.declared import CRD_FILE
from teleport_operator.definition import NAME, find_gaps

OURS = yaml.safe_load(CRD_FILE.read_text())
ORIGINAL = {
    "spec": {
        "versions": [
            {
                "name": "v2",
                "served": True,
                "subresources": {"status": {}},
                "schema": {
                    "openAPIV3Schema": {
                        "properties": {
                            "spec": {"properties": {"roles": {"type": "array"}}},
                            "status": {"properties": {}},
                        }
                    }
                },
            }
        ]
    }
}
"""The original's, as far as it matters here: it says nothing of fields that it does not know."""


def change(*path: str | int, value: object = None) -> dict[str, Any]:
    """Return our definition with another value at a place, or without what stands there."""
    changed: dict[str, Any] = deepcopy(OURS)
    place: Any = changed["spec"]["versions"][0]
    for step in path[:-1]:
        place = place[step]
    if value is None:
        del place[path[-1]]
    else:
        place[path[-1]] = value
    return changed


SCHEMA = ("schema", "openAPIV3Schema")
SPEC = (*SCHEMA, "properties", "spec")
RULE = (*SPEC, "properties", "kubernetes", "properties", "allow", "items")
KEEP = "x-kubernetes-preserve-unknown-fields"


def test_ours_lacks_nothing() -> None:
    assert OURS["metadata"]["name"] == NAME
    assert find_gaps(OURS) == ()


@pytest.mark.parametrize(
    ("definition", "gap"),
    [
        ({}, "version v2 is not served"),
        ({"spec": {"versions": None}}, "version v2 is not served"),
        (change("served", value=False), "version v2 is not served"),
        (change("name", value="v3"), "version v2 is not served"),
        (change("subresources"), "there is no subresource status"),
        (change(*SCHEMA, KEEP), "beside spec: unknown fields are dropped"),
        (change(*SCHEMA, "properties", "status", KEEP), "status: fields that it does not know cannot be written"),
        (
            change(*SCHEMA, "properties", "status", "default"),
            "status: without a default an object counts as done before the operator has looked at it",
        ),
        (change(*SPEC, KEEP), "spec: unknown fields are dropped"),
        (change(*RULE, KEEP), "spec.kubernetes.allow[]: unknown fields are dropped"),
        (change(*RULE, KEEP, value=False), "spec.kubernetes.allow[]: unknown fields are dropped"),
        (change(*SPEC, "properties", "ttl"), "spec.ttl is not known"),
        (
            change(*RULE, "properties", "service_account_name"),
            "spec.kubernetes.allow[].service_account_name is not known",
        ),
    ],
)
def test_a_gap_is_named(definition: dict[str, Any], gap: str) -> None:
    assert find_gaps(definition) == (gap,)


def test_the_original_s_definition_is_no_stand_in() -> None:
    gaps = find_gaps(ORIGINAL)
    assert {"spec: unknown fields are dropped", "spec.ttl is not known", "spec.secret is not known"} <= set(gaps)
