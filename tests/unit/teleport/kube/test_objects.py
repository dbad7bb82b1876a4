from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.errors import TeleportError
from teleport.kube.errors import BadAnswer, Gone
from teleport.kube.objects import PODS, Change, ObjectChange, Pod, Secret, parse_change, parse_pod, parse_secret

METADATA = {"name": "web-0", "uid": "pod-uid", "resourceVersion": "7"}
POD = {"metadata": METADATA, "spec": {"serviceAccountName": "web"}, "status": {"phase": "Running"}}
SECRET = {"metadata": {"name": "state", "namespace": "teleport", "resourceVersion": "7"}, "data": {"id": "aGlkZGVu"}}
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab:", max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text("ab:", max_size=8), inner, max_size=3),
    max_leaves=8,
)
NAMES = st.sampled_from(["metadata", "spec", "status", "name", "uid", "type", "object", "resourceVersion", "data"])


def test_a_pod_is_copied() -> None:
    assert parse_pod(POD) == Pod("web-0", "pod-uid", "web", is_terminating=False, phase="Running")


def test_a_pod_whose_end_was_asked_for_is_terminating() -> None:
    assert parse_pod(POD | {"metadata": METADATA | {"deletionTimestamp": "2026-01-01T00:00:00Z"}}).is_terminating


@pytest.mark.parametrize("metadata", [None, [], {}, {"name": "web-0"}, {"uid": "pod-uid"}, {"name": 7, "uid": "a"}])
def test_what_has_no_name_or_uid_is_no_pod(metadata: object) -> None:
    with pytest.raises(BadAnswer):
        parse_pod(POD | {"metadata": metadata})


@pytest.mark.parametrize("change", Change)
def test_a_watch_tells_what_became_of_a_pod(change: Change) -> None:
    assert parse_change(PODS, {"type": str(change), "object": POD}) == ObjectChange("7", change, parse_pod(POD))


def test_a_bookmark_tells_how_far_the_watch_has_come() -> None:
    bookmark = {"type": "BOOKMARK", "object": {"kind": "Pod", "metadata": {"resourceVersion": "9"}}}
    assert parse_change(PODS, bookmark) == ObjectChange("9")


def test_a_watch_that_has_lost_its_place_says_so() -> None:
    with pytest.raises(Gone):
        parse_change(PODS, {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old"}})


@pytest.mark.parametrize(
    "event",
    [
        {},
        {"type": "ERROR", "object": {"code": 500}},
        {"type": "EXPLODED", "object": POD},
        {"type": "ADDED", "object": {}},
        {"type": "ADDED"},
    ],
)
def test_what_is_no_event_is_refused(event: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer) as refusal:
        parse_change(PODS, event)
    assert not isinstance(refusal.value, Gone)


def test_a_secret_is_copied_and_not_shown() -> None:
    secret = parse_secret(SECRET)
    assert secret == Secret("teleport", "state", "7", {"id": b"hidden"})
    assert "hidden" not in repr(secret)


def test_a_secret_without_data_is_empty() -> None:
    assert parse_secret({"metadata": SECRET["metadata"]}).data == {}


@pytest.mark.parametrize("value", ["a===", "!!!!", "aGlkZGVu\n", 77, None, ["aGlk"], "é"])
def test_a_value_that_is_no_base64_is_refused_and_not_shown(value: object) -> None:
    with pytest.raises(BadAnswer) as refusal:
        parse_secret(SECRET | {"data": {"id": value}})
    assert str(value) not in refusal.value.detail


@given(st.dictionaries(NAMES, st.dictionaries(NAMES, JSON, max_size=4) | JSON, max_size=4))
def test_any_answer_is_copied_or_refused(raw: dict[str, Any]) -> None:
    for parse in (parse_pod, partial(parse_change, PODS), parse_secret):
        try:
            parse(raw)
        except TeleportError as error:
            assert isinstance(error, BadAnswer)  # noqa: PT017 - most answers are refused, and some are not
