"""What the pages on TeleportProvisionToken say, held against the code."""

import re
from enum import StrEnum

import pytest
import yaml

from support.declared import JUDGES, ROOT
from teleport_operator.conditions import Activity, Ownership, State, Type
from teleport_operator.declaration import API_VERSION, KIND, Annotation
from teleport_operator.files.faults import find_problems
from teleport_operator.problems import ProblemKind

REFERENCE = (ROOT / "docs" / "reference" / "teleportprovisiontoken.md").read_text()
GITOPS = (ROOT / "docs" / "gitops" / "index.md").read_text()


def find_yaml(page: str) -> dict[str, object]:
    (block,) = re.findall(r"```yaml\n(.*?)```", page, re.DOTALL)
    loaded: dict[str, object] = yaml.safe_load(block)
    return loaded


def test_the_example_has_no_fault() -> None:
    assert find_problems(find_yaml(REFERENCE), JUDGES) == ()


@pytest.mark.parametrize("words", [State, Activity, Ownership, ProblemKind, Type])
def test_every_condition_and_reason_is_described(words: type[StrEnum]) -> None:
    assert [word.value for word in words if f"`{word}`" not in REFERENCE] == []


def test_every_annotation_that_people_write_is_described() -> None:
    rows = set(re.findall(r"^\| `([a-z./-]+)(?:: [^`]*)?` \|", REFERENCE, re.MULTILINE))
    assert set(Annotation) - {Annotation.LAST_APPLIED} <= rows


def test_the_snippet_for_flux_names_the_kind() -> None:
    spec = find_yaml(GITOPS)["spec"]
    assert isinstance(spec, dict)
    (check,) = spec["healthChecks"]
    assert (check["apiVersion"], check["kind"]) == (API_VERSION, KIND)
