from typing import Any

import pytest

from support.declared import KUBERNETES, LONG_NAME, build_object
from teleport_operator.objects import Key, ObjectCache, claims_name, key_of

SECRET = {"roles": ["Node"], "secret": {}}


def build(
    namespace: str, created: str = "2026-01-01T00:00:00Z", spec: object = KUBERNETES, **more: Any
) -> dict[str, Any]:
    """Return an object of a namespace."""
    return build_object(
        spec, **{"namespace": namespace, "uid": f"uid-{namespace}", "creationTimestamp": created, **more}
    )


def test_a_newer_copy_is_news_and_an_older_one_is_not() -> None:
    cache = ObjectCache()
    assert cache.put(build("a", resourceVersion="99"))
    assert not cache.put(build("a", resourceVersion="99"))
    assert cache.put(build("a", resourceVersion="100"))
    assert not cache.put(build("a", resourceVersion="99"))
    assert cache.list_versions() == {Key("a", LONG_NAME): "100"}


def test_an_object_that_was_made_anew_is_news_whatever_its_version() -> None:
    cache = ObjectCache()
    cache.put(build("a", resourceVersion="99"))
    assert cache.put(build("a", resourceVersion="5", uid="another"))
    assert cache.find_uid("uid-a") is None
    assert cache.find_uid("another") == Key("a", LONG_NAME)


def test_a_copy_stays_as_it_was_taken() -> None:
    cache = ObjectCache()
    raw = build("a")
    cache.put(raw)
    raw["spec"] = {}
    assert cache.get(key_of(raw)) == build("a")
    assert cache.get(Key("b", LONG_NAME)) is None


def test_versions_that_are_no_numbers_are_compared_by_equality() -> None:
    cache = ObjectCache()
    cache.put(build("a", resourceVersion="x"))
    assert not cache.put(build("a", resourceVersion="x"))
    assert cache.put(build("a", resourceVersion="w"))


def test_the_older_of_two_has_the_name() -> None:
    cache = ObjectCache()
    old, young = build("b"), build("a", "2026-01-01T00:00:01Z")
    cache.put(old)
    cache.put(young)
    assert cache.find_elder(young) == key_of(old)
    assert cache.find_elder(old) is None
    assert cache.find_rivals(old) == {key_of(young)}
    assert cache.find_rival_uids(old) == {"uid-a"}


def test_of_one_second_the_lesser_uid_has_it() -> None:
    cache = ObjectCache()
    cache.put(build("a"))
    cache.put(build("b"))
    assert cache.find_elder(build("b")) == Key("a", LONG_NAME)
    assert cache.find_elder(build("a")) is None


def test_when_one_goes_the_others_are_named() -> None:
    cache = ObjectCache()
    cache.put(build("a"))
    cache.put(build("b"))
    assert cache.remove(Key("a", LONG_NAME)) == {Key("b", LONG_NAME)}
    assert cache.find_elder(build("b")) is None
    assert cache.remove(Key("a", LONG_NAME)) == frozenset()
    assert len(cache) == 1


def test_a_secret_of_its_own_claims_no_name() -> None:
    cache = ObjectCache()
    cache.put(build("a", spec=SECRET))
    cache.put(build("b", "2026-01-02T00:00:00Z", spec=SECRET))
    assert cache.find_elder(build("b", "2026-01-02T00:00:00Z", spec=SECRET)) is None
    assert cache.find_rival_uids(build("b", spec=SECRET)) == frozenset()


def test_a_spec_that_gives_up_the_name_leaves_it_to_others() -> None:
    cache = ObjectCache()
    cache.put(build("a"))
    cache.put(build("b", "2026-01-02T00:00:00Z"))
    cache.put(build("a", spec=SECRET, resourceVersion="999"))
    assert cache.find_elder(build("b", "2026-01-02T00:00:00Z")) is None


@pytest.mark.parametrize(("spec", "claims"), [(KUBERNETES, True), (SECRET, False), (None, True), ("text", True)])
def test_whatever_the_spec_is_there_is_an_answer(spec: object, claims: bool) -> None:
    assert claims_name(build("a", spec=spec)) is claims
