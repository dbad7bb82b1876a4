from base64 import b64encode
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.clock import FakeClock
from support.fake_kube import FakeKube, running_fake_kube
from teleport.errors import CompareFailed
from teleport.kube.connection import KubeConnection
from teleport.kube.delivered_secrets import DeliveredSecret, DeliveredSecrets, _decode, _find_controller
from teleport.kube.errors import BadAnswer, Forbidden

ALL = "/api/v1/namespaces/apps/secrets"
OWNER: dict[str, Any] = {
    "apiVersion": "example.com/v1",
    "kind": "Widget",
    "metadata": {"namespace": "apps", "name": "web", "uid": "uid-1"},
}


@pytest.fixture
async def kube(tmp_path: Path) -> AsyncIterator[FakeKube]:
    async with running_fake_kube(tmp_path) as running:
        yield running


@pytest.fixture
async def secrets(kube: FakeKube) -> AsyncIterator[DeliveredSecrets]:
    connection = KubeConnection(kube.server, clock=FakeClock())
    yield DeliveredSecrets(connection, field_manager="us")
    await connection.close()


async def test_a_secret_is_read_or_not_there(kube: FakeKube, secrets: DeliveredSecrets) -> None:
    assert await secrets.get("apps", "token") is None
    reference = {"uid": "uid-1", "controller": True}
    metadata = {"resourceVersion": "7", "annotations": {"a": "b"}, "ownerReferences": [{"uid": "uid-0"}, reference]}
    kube.answers[f"{ALL}/token"] = {"metadata": metadata, "data": {"auth-token": "aGlkZGVu"}}
    found = await secrets.get("apps", "token")
    assert found == DeliveredSecret({"auth-token": "hidden"}, {"a": "b"}, "uid-1", "7")
    assert "hidden" not in repr(found)


async def test_a_secret_of_nobody_s_with_nothing_in_it_is_read(kube: FakeKube, secrets: DeliveredSecrets) -> None:
    kube.answers[f"{ALL}/token"] = {"metadata": {"resourceVersion": "7"}}
    assert await secrets.get("apps", "token") == DeliveredSecret({}, {}, "", "7")


async def test_what_has_no_version_cannot_be_written_later(kube: FakeKube, secrets: DeliveredSecrets) -> None:
    kube.answers[f"{ALL}/token"] = {"metadata": {}}
    with pytest.raises(BadAnswer) as caught:
        await secrets.get("apps", "token")
    assert "resourceVersion" in caught.value.detail


async def test_a_new_secret_is_created_and_overwrites_nobody_s(kube: FakeKube, secrets: DeliveredSecrets) -> None:
    kube.answers[ALL] = {}
    await secrets.put(OWNER, "token", DeliveredSecret({"auth-token": "hidden"}, {"a": "b"}, "uid-1"))
    (asked,) = kube.received
    assert (asked.method, asked.path) == ("POST", f"{ALL}?fieldManager=us")
    assert asked.body == {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": {
            "name": "token",
            "namespace": "apps",
            "annotations": {"a": "b"},
            "labels": {"app.kubernetes.io/managed-by": "us"},
            "ownerReferences": [
                {"apiVersion": "example.com/v1", "kind": "Widget", "name": "web", "uid": "uid-1", "controller": True}
            ],
        },
        "data": {"auth-token": "aGlkZGVu"},
    }
    kube.fail_next(409)
    with pytest.raises(CompareFailed):
        await secrets.put(OWNER, "token", DeliveredSecret({}, {}, "uid-1"))


async def test_a_present_secret_is_replaced_only_as_it_was_read(kube: FakeKube, secrets: DeliveredSecrets) -> None:
    kube.answers[f"{ALL}/token"] = {}
    await secrets.put(OWNER, "token", DeliveredSecret({"auth-token": "new"}, {}, "uid-1", "7"))
    (asked,) = kube.received
    assert (asked.method, asked.path) == ("PATCH", f"{ALL}/token?fieldManager=us&force=true")
    assert asked.body["metadata"]["resourceVersion"] == "7"
    kube.fail_next(409)
    with pytest.raises(CompareFailed):
        await secrets.put(OWNER, "token", DeliveredSecret({}, {}, "uid-1", "7"))


async def test_a_refusal_does_not_repeat_the_value(kube: FakeKube, secrets: DeliveredSecrets) -> None:
    kube.fail_next(403, message="secrets is forbidden")
    with pytest.raises(Forbidden) as caught:
        await secrets.put(OWNER, "token", DeliveredSecret({"auth-token": "hidden-value"}, {}, "uid-1"))
    assert "hidden-value" not in f"{caught.value.detail}{caught.value}"


@given(st.dictionaries(st.text(max_size=20), st.text()))
def test_every_text_comes_back_as_it_was_written(data: dict[str, str]) -> None:
    assert _decode({key: b64encode(text.encode()).decode() for key, text in data.items()}) == data


@given(
    st.none() | st.integers() | st.lists(st.text()) | st.text() | st.binary().map(lambda raw: b64encode(raw).decode())
)
def test_what_is_no_text_is_left_out_and_takes_nothing_else_along(value: Any) -> None:
    assert _decode({"odd": value, "sound": "YQ=="})["sound"] == "a"


@pytest.mark.parametrize("value", [None, 5, "no base64!", "YQ", "/w==", ["YQ=="]])
def test_hostile_data_is_left_out(value: object) -> None:
    assert _decode({"odd": value}) == {}


@pytest.mark.parametrize(
    "references",
    [None, "text", [], ["text"], [{"uid": "a"}], [{"uid": "a", "controller": "true"}], [{"controller": True}]],
)
def test_who_does_not_say_that_it_controls_a_secret_does_not(references: object) -> None:
    assert _find_controller(references) == ""
