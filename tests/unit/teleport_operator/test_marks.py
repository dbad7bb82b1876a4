from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.declared import KUBERNETES, LONG_NAME, declare
from teleport.resources.token import Token
from teleport_operator.marks import (
    DECLARED,
    OBJECT,
    ORIGIN,
    SECRET,
    Marks,
    has_equal_content,
    is_equal,
    mark,
    read_labels,
    read_marks,
    unmark,
)
from teleport_operator.marks import (
    KUBERNETES as FROM_KUBERNETES,
)

OWNER = Marks("teleport-operator", "uid-1", "teleport", LONG_NAME)
SECRET_SPEC: dict[str, Any] = {"roles": ["Node"], "join_method": "token", "ttl": "1h"}


def build(spec: object = KUBERNETES, **metadata: Any) -> Token:
    """Return a token as an object declares it."""
    return declare(spec).build_token(expires=None).with_metadata(**metadata)


def test_what_is_marked_is_known_again() -> None:
    marks = read_marks(mark(build(), OWNER))
    assert (marks.operator, marks.uid, marks.namespace, marks.name) == (
        "teleport-operator",
        "uid-1",
        "teleport",
        LONG_NAME,
    )
    assert marks.is_ours


def test_a_token_says_that_it_comes_from_kubernetes_as_the_original_does() -> None:
    assert mark(build(), OWNER).metadata.labels[ORIGIN] == FROM_KUBERNETES


@pytest.mark.parametrize("labels", [{}, {OBJECT: "a/b"}, {"resources.teleport.dev/operator": "o"}, {"x": "y"}])
def test_a_token_without_all_marks_belongs_to_somebody_else(labels: dict[str, str]) -> None:
    assert not read_labels(labels).is_ours


def test_a_name_that_is_the_secret_is_written_down_once_only() -> None:
    labels = mark(build(SECRET_SPEC), OWNER).metadata.labels
    assert labels[OBJECT] == "teleport/"
    assert LONG_NAME not in "".join(labels.values())


def test_beside_a_secret_of_its_own_the_name_of_the_object_may_be_told() -> None:
    marks = Marks("o", "uid-1", "teleport", LONG_NAME, secret="2026-01-01T00:00:00Z")
    labels = mark(build(SECRET_SPEC), marks).metadata.labels
    assert labels[OBJECT] == f"teleport/{LONG_NAME}"
    assert labels[SECRET] == "2026-01-01T00:00:00Z"


def test_the_fingerprint_is_of_what_was_declared_and_of_nothing_else() -> None:
    fingerprint = mark(build(), OWNER).metadata.labels[DECLARED]
    assert mark(build(revision="9", name="another"), OWNER).metadata.labels[DECLARED] == fingerprint
    assert mark(build(labels={"a": "b"}), OWNER).metadata.labels[DECLARED] == fingerprint
    assert mark(build({**KUBERNETES, "roles": ["Node"]}), OWNER).metadata.labels[DECLARED] != fingerprint


def test_others_labels_are_kept_when_the_marks_are_taken_away() -> None:
    marked = mark(build(), OWNER)
    labels = {**marked.metadata.labels, "team": "blue"}
    assert unmark(marked.with_metadata(labels=labels)).metadata.labels == {"team": "blue"}


def test_neither_a_masked_name_nor_a_revision_makes_two_tokens_unequal() -> None:
    desired = mark(build(), OWNER)
    assert is_equal(desired.with_metadata(name="*****", revision="7"), desired)
    assert not is_equal(mark(build({**KUBERNETES, "roles": ["Node"]}), OWNER), desired)


def test_other_marks_make_another_token_of_the_same_content() -> None:
    desired = mark(build(), OWNER)
    assert not is_equal(build(), desired)
    assert has_equal_content(build(labels={"team": "blue"}), desired)
    assert not has_equal_content(build({**KUBERNETES, "roles": ["Node"]}), desired)


@given(st.dictionaries(st.text(max_size=20) | st.sampled_from([OBJECT, SECRET, DECLARED]), st.text(max_size=40)))
def test_whatever_the_labels_are_there_are_marks(labels: dict[str, str]) -> None:
    marks = read_labels(labels)
    assert f"{marks.namespace}/{marks.name}".rstrip("/") == labels.get(OBJECT, "").rstrip("/")
