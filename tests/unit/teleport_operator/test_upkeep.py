from datetime import timedelta
from typing import Any, cast

import pytest
from prometheus_client import CollectorRegistry

from support.clock import START, FakeClock
from support.declared import KUBERNETES, LONG_NAME, build_object, declare
from support.one_object import OneObject
from support.token_api import FakeTokenApi
from support.written_secrets import WrittenSecrets
from teleport.api.messages import TokenUse
from teleport.errors import AccessDenied, Unavailable
from teleport.kube.custom_objects import CustomObjects
from teleport.kube.delivered_secrets import DeliveredSecrets
from teleport_operator.conditions import Activity, State
from teleport_operator.declaration import FINALIZER
from teleport_operator.keeping import TokenKeeping
from teleport_operator.metrics import OperatorMetrics
from teleport_operator.object_writing import ObjectWriting
from teleport_operator.objects import ObjectCache
from teleport_operator.outcome import Outcome
from teleport_operator.reconcile.planning import Change
from teleport_operator.reconcile.secrets import KEY
from teleport_operator.secret_keeping import SecretKeeping
from teleport_operator.status import read_recorded
from teleport_operator.tokens import Tokens
from teleport_operator.upkeep import Upkeep

OPERATOR = "teleport-operator"
HOUR = timedelta(hours=1)
SECRET_SPEC: dict[str, Any] = {"roles": ["Node"], "secret": {"rotateEvery": "24h", "overlap": "1h"}}


class Story:
    """An object that is looked at again and again, its token in auth and its Secret."""

    def __init__(self, spec: dict[str, Any] | None = None) -> None:
        self.clock = FakeClock()
        self.auth = FakeTokenApi()
        self.secrets = WrittenSecrets()
        self.objects = OneObject(build_object(spec or KUBERNETES))
        self.cache = ObjectCache()
        metrics = OperatorMetrics(CollectorRegistry())
        self.tokens = Tokens(self.auth, operator=OPERATOR)
        self.writing = ObjectWriting(
            objects=cast("CustomObjects", self.objects), cache=self.cache, metrics=metrics, clock=self.clock
        )
        self.upkeep = Upkeep(
            tokens=self.tokens,
            keeping=TokenKeeping(tokens=self.tokens, metrics=metrics),
            secrets=SecretKeeping(secrets=cast("DeliveredSecrets", self.secrets)),
            writing=self.writing,
            operator=OPERATOR,
            clock=self.clock,
        )

    def edit(self, spec: dict[str, Any]) -> None:
        """Declare something else."""
        self.objects.change(spec=spec)

    async def look(self) -> Outcome:
        """Look at the object once, write its status, and return what was found."""
        if self.auth.failure is None:
            await self.tokens.refresh()
        raw = self.objects.stored
        assert raw is not None
        self.cache.put(raw)
        declaration = declare(raw["spec"])
        recorded = read_recorded(raw)
        outcome = await self.upkeep.keep(raw, declaration, recorded, losers=frozenset())
        await self.writing.write_status(raw, outcome, recorded.uses)
        return outcome

    @property
    def value(self) -> str:
        """Return what is delivered."""
        return self.secrets.stored[LONG_NAME].data[KEY]


async def test_a_token_is_made_after_the_object_is_protected_and_then_left_alone() -> None:
    story = Story()
    outcome = await story.look()
    assert (outcome.report.state, outcome.changes, outcome.failed) == (State.SYNCED, (Change.CREATE,), False)
    assert set(story.auth.tokens) == {LONG_NAME}
    assert story.objects.stored is not None
    assert story.objects.stored["metadata"]["finalizers"] == [FINALIZER]
    assert (await story.look()).changes == ()


async def test_an_edit_changes_the_token_in_its_place() -> None:
    story = Story()
    await story.look()
    story.edit({**KUBERNETES, "roles": ["Node"]})
    assert (await story.look()).report.state is State.SYNCED
    assert story.auth.tokens[LONG_NAME].spec.roles == ("Node",)


async def test_a_token_that_others_deleted_is_made_anew() -> None:
    story = Story()
    await story.look()
    story.auth.tokens.clear()
    assert (await story.look()).changes == (Change.REPAIR,)
    assert set(story.auth.tokens) == {LONG_NAME}


async def test_a_token_whose_one_use_is_spent_is_not_made_anew() -> None:
    story = Story({"roles": ["Bot"], "bot_name": "deployer"})
    await story.look()
    story.auth.tokens.clear()
    use = {"time": START + HOUR, "host_id": "h", "remote_addr": "192.0.2.7", "role": "App"}
    story.auth.uses = [TokenUse(**use, outcome="success")]
    outcome = await story.look()
    assert (outcome.report.activity, outcome.changes) == (Activity.CONSUMED, ())
    assert story.auth.tokens == {}


async def test_at_its_end_the_token_goes_and_stays_away() -> None:
    story = Story({**KUBERNETES, "ttl": "1h"})
    await story.look()
    story.clock.advance(HOUR + timedelta(seconds=1))
    for _ in range(2):
        assert (await story.look()).report.state is State.EXPIRED
        assert story.auth.tokens == {}


async def test_a_new_rule_is_in_the_status_before_the_token_is_changed() -> None:
    story = Story({**KUBERNETES, "ttl": "1h"})
    await story.look()
    story.clock.advance(HOUR / 2)
    story.edit({**KUBERNETES, "ttl": "2h"})
    story.objects.written.clear()
    story.auth.failure = Unavailable("it is away")
    assert (await story.look()).failed
    assert story.objects.stored is not None
    promised = read_recorded(story.objects.stored).expiry.at
    assert promised == START + HOUR / 2 + 2 * HOUR
    story.auth.failure = None
    story.clock.advance(HOUR / 2)
    await story.look()
    assert story.auth.tokens[LONG_NAME].metadata.expires == promised


@pytest.mark.parametrize(
    ("failure", "state"),
    [(Unavailable("busy", timedelta(seconds=7)), State.AUTH_UNREACHABLE), (AccessDenied("no"), State.AUTH_REJECTED)],
)
async def test_where_auth_does_not_do_it_the_object_says_so_and_is_looked_at_again(
    failure: Unavailable | AccessDenied, state: State
) -> None:
    story = Story()
    await story.tokens.refresh()
    story.auth.failure = failure
    outcome = await story.look()
    assert (outcome.report.state, outcome.failed) == (state, True)
    assert outcome.asked_wait == getattr(failure, "retry_after", timedelta())


async def test_a_secret_s_token_is_in_auth_before_its_value_is_delivered() -> None:
    story = Story(SECRET_SPEC)
    story.secrets.put = refuse  # type: ignore[assignment, method-assign]  # nothing can be written
    with pytest.raises(Unavailable):
        await story.look()
    assert len(story.auth.tokens) == 1
    assert story.secrets.stored == {}


async def refuse(*_: object) -> None:
    """Write nothing."""
    raise Unavailable("the API server is away")


async def test_after_a_rotation_both_values_work_until_the_overlap_is_over() -> None:
    story = Story(SECRET_SPEC)
    await story.look()
    first = story.value
    assert set(story.auth.tokens) == {first}
    story.clock.advance(timedelta(hours=24))
    outcome = await story.look()
    second = story.value
    assert set(story.auth.tokens) == {first, second}
    assert story.auth.tokens[first].metadata.expires == story.clock.now() + HOUR
    assert outcome.secret["name"] == LONG_NAME
    story.clock.advance(HOUR)
    await story.look()
    assert set(story.auth.tokens) == {second}


async def test_the_next_look_is_due_when_the_secret_is() -> None:
    story = Story(SECRET_SPEC)
    outcome = await story.look()
    assert outcome.look_again is not None
    assert outcome.look_again <= START + timedelta(hours=24)


async def test_where_the_value_cannot_be_read_no_token_is_made() -> None:
    story = Story({"roles": ["Node"], "secret": {"fromSecret": {"name": "source"}}})
    outcome = await story.look()
    assert (outcome.report.state, outcome.failed) == (State.SECRET_MISSING, True)
    assert story.auth.tokens == {}
