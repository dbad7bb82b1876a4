from datetime import UTC, datetime
from typing import Any

import pytest

from support.declared import build_object
from teleport_operator.declaration import DeletionPolicy
from teleport_operator.head import parse_head


def test_what_every_object_has_is_read() -> None:
    head = parse_head(build_object({"roles": ["Node"]}, name="agents", finalizers=["resources.teleport.dev/deletion"]))
    assert (head.namespace, head.name, head.generation, head.resource_version) == ("teleport", "agents", 3, "220")
    assert head.created == datetime(2026, 1, 1, tzinfo=UTC)
    assert (head.deleting_since, head.finalizers) == (None, ("resources.teleport.dev/deletion",))
    assert (head.keep, head.ignore, head.rotate, head.reconcile_at, head.orphans) == (False, False, "", "", False)


def test_a_deletion_is_seen() -> None:
    head = parse_head(build_object(deletionTimestamp="2026-01-02T00:00:00Z"))
    assert head.deleting_since == datetime(2026, 1, 2, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "means"),
    [
        ("1", True),
        ("t", True),
        ("TRUE", True),
        ("true", True),
        ("yes", False),
        ("on", False),
        ("tRue", False),
        ("", False),
    ],
)
def test_annotations_are_read_as_go_reads_booleans(text: str, means: bool) -> None:
    annotations = {"teleport.dev/keep": text, "teleport.dev/ignore": text}
    head = parse_head(build_object(annotations=annotations))
    assert (head.keep, head.ignore, head.orphans) == (means, means, means)


@pytest.mark.parametrize(
    ("spec", "policy"),
    [
        (None, DeletionPolicy.DELETE),
        ({}, DeletionPolicy.DELETE),
        ({"deletionPolicy": None}, DeletionPolicy.DELETE),
        ({"deletionPolicy": "Delete"}, DeletionPolicy.DELETE),
        ({"deletionPolicy": "Orphan"}, DeletionPolicy.ORPHAN),
        ({"deletionPolicy": "Remove"}, DeletionPolicy.ORPHAN),
        ({"deletionPolicy": ["Delete"]}, DeletionPolicy.ORPHAN),
        (["Delete"], DeletionPolicy.DELETE),
    ],
)
def test_in_doubt_nothing_is_deleted(spec: Any, policy: DeletionPolicy) -> None:
    assert parse_head(build_object(spec)).deletion_policy is policy


def test_requests_of_people_are_read() -> None:
    annotations = {"resources.teleport.dev/rotate": "1", "resources.teleport.dev/reconcile-at": "now"}
    head = parse_head(build_object(annotations=annotations))
    assert (head.rotate, head.reconcile_at) == ("1", "now")
