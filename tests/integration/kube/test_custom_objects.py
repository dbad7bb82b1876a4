from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.clock import FakeClock
from support.fake_kube import FakeKube, running_fake_kube
from teleport.errors import CompareFailed
from teleport.kube import custom_objects
from teleport.kube.connection import KubeConnection
from teleport.kube.custom_objects import CustomKind, CustomObjects, ObjectHead, without_managed_fields
from teleport.kube.errors import BadAnswer, Gone, Missing, TooBusy

KIND = CustomKind("example.com", "v1", "widgets", "Widget")
ALL = "/apis/example.com/v1/widgets"
ONE = "/apis/example.com/v1/namespaces/apps/widgets/web"


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[FakeKube]:
    async with running_fake_kube(tmp_path) as running:
        yield running


@pytest.fixture
async def objects(kube: FakeKube) -> AsyncIterator[CustomObjects]:
    connection = KubeConnection(kube.server, clock=FakeClock())
    yield CustomObjects(connection, KIND, field_manager="us")
    await connection.close()


def build(**metadata: object) -> dict[str, Any]:
    own = {"namespace": "apps", "name": "web", "uid": "uid-1", "resourceVersion": "7", "managedFields": [{}]}
    return {"metadata": {**own, **metadata}, "spec": {"a": 1}}


async def test_all_pages_are_read_and_nobody_s_field_managers(kube: FakeKube, objects: CustomObjects) -> None:
    kube.send_next(
        b'{"metadata": {"continue": "next page"}, "items": [{"metadata": {"name": "a", "managedFields": []}}]}'
    )
    kube.send_next(b'{"metadata": {}, "items": [{"metadata": {"name": "b"}}]}')
    assert [each async for each in objects.list_objects()] == [{"metadata": {"name": "a"}}, {"metadata": {"name": "b"}}]
    assert [each.path for each in kube.received] == [f"{ALL}?limit=250", f"{ALL}?limit=250&continue=next+page"]


async def test_a_namespace_is_listed_alone(kube: FakeKube, objects: CustomObjects) -> None:
    kube.answers["/apis/example.com/v1/namespaces/apps/widgets"] = {"items": [build()]}
    assert [each["metadata"]["name"] async for each in objects.list_objects("apps")] == ["web"]


async def test_heads_are_asked_for_as_metadata_alone(kube: FakeKube, objects: CustomObjects) -> None:
    kube.answers[ALL] = {"items": [build(), "no object"]}
    assert [each async for each in objects.list_heads()] == [ObjectHead("apps", "web", "7")]
    assert "as=PartialObjectMetadataList" in kube.received[0].headers["Accept"]


@pytest.mark.parametrize("lost", ["namespace", "name", "resourceVersion"])
async def test_a_head_that_lacks_something_is_of_no_use(kube: FakeKube, objects: CustomObjects, lost: str) -> None:
    kube.answers[ALL] = {"items": [build(**{lost: None})]}
    with pytest.raises(BadAnswer) as caught:
        [each async for each in objects.list_heads()]
    assert lost in caught.value.detail


async def test_no_more_pages_are_read_than_are_bearable(
    kube: FakeKube, objects: CustomObjects, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(custom_objects, "MAX_PAGES", 2)
    for following in ("more", ""):
        kube.send_next(f'{{"metadata": {{"continue": "{following}"}}}}'.encode())
    assert [each async for each in objects.list_objects()] == []
    kube.answers[ALL] = {"metadata": {"continue": "for ever"}}
    with pytest.raises(BadAnswer) as caught:
        [each async for each in objects.list_objects()]
    assert "more than 500 widgets" in caught.value.detail
    assert len(kube.received) == 4


async def test_a_kind_that_is_not_known_is_missing(objects: CustomObjects) -> None:
    with pytest.raises(Missing):
        [each async for each in objects.list_objects()]


async def test_an_expired_page_is_no_end_of_the_list(kube: FakeKube, objects: CustomObjects) -> None:
    kube.send_next(b'{"metadata": {"continue": "old"}, "items": []}')
    kube.fail_next(410)
    with pytest.raises(Gone):
        [each async for each in objects.list_heads()]


async def test_an_object_is_read_or_not_there(kube: FakeKube, objects: CustomObjects) -> None:
    assert await objects.get("apps", "web") is None
    kube.answers[ONE] = build()
    found = await objects.get("apps", "web")
    assert found is not None
    assert "managedFields" not in found["metadata"]


async def test_finalizers_are_replaced_on_the_copy_that_was_read(kube: FakeKube, objects: CustomObjects) -> None:
    kube.answers[ONE] = build(resourceVersion="8")
    changed = await objects.set_finalizers(build(), ["ours"])
    assert changed is not None
    assert changed["metadata"]["resourceVersion"] == "8"
    (asked,) = kube.received
    assert (asked.method, asked.path) == ("PATCH", f"{ONE}?fieldManager=us")
    assert asked.headers["Content-Type"] == "application/merge-patch+json"
    assert asked.body == {"metadata": {"resourceVersion": "7", "finalizers": ["ours"]}}


async def test_finalizers_of_an_object_that_changed_are_left_and_of_one_that_is_gone_too(
    kube: FakeKube, objects: CustomObjects
) -> None:
    kube.fail_next(409)
    with pytest.raises(CompareFailed):
        await objects.set_finalizers(build(), [])
    assert await objects.set_finalizers(build(), []) is None


async def test_the_status_is_applied_to_this_very_object(kube: FakeKube, objects: CustomObjects) -> None:
    kube.answers[f"{ONE}/status"] = build()
    assert await objects.apply_status(build(), {"ok": True}) is not None
    (asked,) = kube.received
    assert (asked.method, asked.path) == ("PATCH", f"{ONE}/status?fieldManager=us&force=true")
    assert asked.headers["Content-Type"] == "application/apply-patch+yaml"
    assert asked.body == {
        "apiVersion": "example.com/v1",
        "kind": "Widget",
        "metadata": {"name": "web", "namespace": "apps", "uid": "uid-1"},
        "status": {"ok": True},
    }


@pytest.mark.parametrize("status", [404, 409])
async def test_the_status_of_what_is_gone_or_was_made_anew_is_dropped(
    kube: FakeKube, objects: CustomObjects, status: int
) -> None:
    kube.fail_next(status)
    assert await objects.apply_status(build(), {}) is None


async def test_who_is_sent_away_learns_for_how_long(kube: FakeKube, objects: CustomObjects) -> None:
    kube.fail_next(429, retry_after="7")
    with pytest.raises(TooBusy) as caught:
        await objects.apply_status(build(), {})
    assert caught.value.retry_after.total_seconds() == 7


@given(st.dictionaries(st.text(), st.integers()), st.dictionaries(st.text(), st.integers()))
def test_nothing_but_managed_fields_is_left_out(metadata: dict[str, int], rest: dict[str, int]) -> None:
    raw = {**rest, "metadata": metadata}
    kept = {key: value for key, value in metadata.items() if key != "managedFields"}
    assert without_managed_fields(raw) == {**rest, "metadata": kept}
    assert raw["metadata"] == metadata


def test_a_head_does_not_show_its_name() -> None:
    assert "secret-name" not in repr(replace(ObjectHead("apps", "web", "7"), name="secret-name"))
