"""ARCHITECTURE.md says what holds, and the contracts of import-linter hold it: neither may go ahead of the other."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

from teleport.backend.catalog import BACKENDS
from teleport.join.catalog import METHODS

ROOT = Path(__file__).parents[2]
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
CONTRACTS: list[dict[str, Any]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["importlinter"][
    "contracts"
]
PLACES = [ROOT, ROOT / "src" / "teleport", ROOT / "operator" / "teleport_operator"]
MAX_LINES = 170
"""Two pages and a half; who adds a process says it in few lines."""


def find_contract(name: str) -> dict[str, Any]:
    return next(contract for contract in CONTRACTS if contract["name"].startswith(name))


def test_every_contract_is_a_sentence_of_the_architecture() -> None:
    sentences = re.findall(r"^- (.+)$", ARCHITECTURE.partition("## Floors")[2].partition("\n## ")[0], re.MULTILINE)
    assert sentences == [contract["name"] for contract in CONTRACTS]


def test_the_floors_are_drawn_as_they_are_held() -> None:
    drawing = ARCHITECTURE.partition("## Floors")[2].split("```")[1]
    drawn = [line.strip().partition("  ")[0] for line in drawing.splitlines() if line.strip()]
    assert drawn == find_contract("Higher floors")["layers"]


def test_every_join_method_is_held_apart_from_the_others() -> None:
    modules = {method.build_judge.__module__ for method in METHODS.values()}
    assert modules == set(find_contract("Join methods")["modules"])


def test_every_backend_is_held_apart_from_the_others() -> None:
    assert {f"teleport.backend.{name}" for name in BACKENDS} == set(find_contract("Backends")["modules"])


@pytest.mark.parametrize("path", sorted(set(re.findall(r"`([a-z_./]+(?:/|\.py))`", ARCHITECTURE))))
def test_every_path_that_the_architecture_names_is_there(path: str) -> None:
    assert any((place / path).exists() for place in PLACES)


def test_the_architecture_stays_a_map_of_three_pages() -> None:
    assert len(ARCHITECTURE.splitlines()) <= MAX_LINES
