from typing import Any, cast

import pytest

from support.declared import JUDGES, KUBERNETES, LONG_NAME, build_object
from teleport.kube.custom_objects import RawObject
from teleport_operator.conditions import Report, State
from teleport_operator.declaration import Annotation, Declaration
from teleport_operator.delegation import Delegation
from teleport_operator.looking import Looking
from teleport_operator.objects import ObjectCache
from teleport_operator.outcome import Outcome
from teleport_operator.reconcile.expiry import UNREADABLE, Expiry
from teleport_operator.status import Recorded, read_recorded

SECRET = {"name": "agents"}
KEPT = Outcome(Report(State.SYNCED), Expiry())


class Story:
    """An operator of namespace `teleport` that looks at objects, and what came as far as to be kept."""

    def __init__(self, *others: RawObject) -> None:
        self.kept: list[tuple[str, frozenset[str]]] = []
        self.cache = ObjectCache()
        for raw in others:
            self.cache.put(raw)
        self.looking = Looking(
            cache=self.cache, judges=JUDGES, delegation=Delegation("teleport", None), upkeep=cast("Any", self)
        )

    async def keep(self, _: RawObject, declaration: Declaration, __: Recorded, *, losers: frozenset[str]) -> Outcome:
        self.kept.append((declaration.head.uid, losers))
        return KEPT

    async def look(self, raw: RawObject) -> Outcome:
        self.cache.put(raw)
        return await self.looking.look(raw, read_recorded(raw))


def build(spec: object = KUBERNETES, *, uid: str = "1", fingerprint: str = "", **metadata: Any) -> dict[str, Any]:
    """Return an object that was looked at before."""
    status = {"secret": SECRET, "expiryFingerprint": fingerprint}
    return build_object(spec, uid=uid, **metadata) | {"status": status}


async def test_an_object_that_is_all_right_is_kept() -> None:
    story = Story()
    assert await story.look(build()) is KEPT
    assert story.kept == [("1", frozenset())]


async def test_nothing_is_done_for_an_object_that_shall_be_ignored_whatever_it_says() -> None:
    story = Story()
    outcome = await story.look(build({"roles": ["Nodee"]}, annotations={Annotation.IGNORE.value: "true"}))
    assert (outcome.report.state, outcome.secret, story.kept) == (State.PAUSED, SECRET, [])


async def test_an_object_that_cannot_be_read_says_why_and_its_token_stays_as_it_is() -> None:
    story = Story()
    outcome = await story.look(build({**KUBERNETES, "rolse": ["App"]}))
    assert outcome.report.state is State.INVALID
    assert "spec.rolse" in outcome.report.message
    assert (outcome.secret, story.kept) == (SECRET, [])


@pytest.mark.parametrize(("before", "after"), [("", UNREADABLE), ("rule", "rule")])
async def test_a_rule_that_mends_what_was_never_readable_begins_when_it_is_seen(before: str, after: str) -> None:
    outcome = await Story().look(build({"roles": []}, fingerprint=before))
    assert outcome.expiry.fingerprint == after


async def test_the_younger_of_two_objects_of_one_name_has_to_wait() -> None:
    elder = build(uid="elder", namespace="a", creationTimestamp="2025-01-01T00:00:00Z")
    story = Story(elder)
    outcome = await story.look(build(uid="younger"))
    assert outcome.report.state is State.DUPLICATE_NAME
    assert "namespace a" in outcome.report.message
    assert story.kept == []


async def test_the_elder_of_two_objects_takes_the_token_from_the_younger() -> None:
    story = Story(build(uid="younger", namespace="a", creationTimestamp="2027-01-01T00:00:00Z"))
    assert await story.look(build(uid="elder")) is KEPT
    assert story.kept == [("elder", frozenset({"younger"}))]


async def test_a_namespace_may_not_declare_more_than_it_is_allowed_to() -> None:
    story = Story()
    outcome = await story.look(build({**KUBERNETES, "roles": ["Auth"]}, namespace="apps"))
    assert outcome.report.state is State.NAMESPACE_NOT_ALLOWED
    assert (outcome.secret, story.kept) == (SECRET, [])


async def test_names_of_objects_do_not_stand_in_what_is_said_of_them() -> None:
    elder = build(uid="elder", namespace="a", creationTimestamp="2025-01-01T00:00:00Z")
    assert LONG_NAME not in (await Story(elder).look(build(uid="younger"))).report.message
