"""Objects of kind TeleportProvisionToken as an API server gives them, and how the operator reads them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml

from support.clock import FakeClock
from teleport.join.catalog import build_judges
from teleport.join.method import JudgeContext
from teleport_operator.declaration import API_VERSION, KIND, Declaration
from teleport_operator.manifest import parse_declaration
from teleport_operator.problems import InvalidManifest, Problem

ROOT = Path(__file__).parents[2]
CRD_FILE = ROOT / "crds" / "resources.teleport.dev_teleportprovisiontokens.yaml"
POLICY_FILE = ROOT / "crds" / "policies" / "teleportprovisiontokens-known-fields.yaml"
CASES: dict[str, list[Any]] = yaml.safe_load((ROOT / "tests" / "cases" / "crd.yaml").read_text())

JUDGES = build_judges(JudgeContext(cluster_name="example", clock=FakeClock()))
LONG_NAME = "a-name-of-sixteen-chars"
KUBERNETES: dict[str, Any] = {
    "roles": ["App"],
    "join_method": "kubernetes",
    "kubernetes": {"allow": [{"service_account": "apps:web"}]},
}


def build_object(
    spec: object = None, *, name: str = LONG_NAME, annotations: Mapping[str, str] | None = None, **metadata: object
) -> dict[str, Any]:
    """Build an object; without a spec it has none."""
    raw: dict[str, Any] = {
        "apiVersion": API_VERSION,
        "kind": KIND,
        "metadata": {
            "name": name,
            "namespace": "teleport",
            "uid": "0e5ceeac-dde9-45de-8927-fc8057b3dc7a",
            "generation": 3,
            "resourceVersion": "220",
            "creationTimestamp": "2026-01-01T00:00:00Z",
            **metadata,
        },
    }
    if annotations is not None:
        raw["metadata"]["annotations"] = dict(annotations)
    return raw if spec is None else {**raw, "spec": spec}


def declare(spec: object = None, **attributes: Any) -> Declaration:
    """Read an object that is all right."""
    return parse_declaration(build_object(spec, **attributes), judges=JUDGES)


def find_problems(raw: Mapping[str, Any]) -> tuple[Problem, ...]:
    """Return what is wrong with an object; none where nothing is."""
    try:
        parse_declaration(raw, judges=JUDGES)
    except InvalidManifest as error:
        return error.problems
    return ()
