from dataclasses import replace
from datetime import timedelta
from typing import Any, cast

import pytest

from support.clock import START
from support.declared import LONG_NAME, build_object, declare
from support.written_secrets import WrittenSecrets
from teleport.errors import CompareFailed
from teleport.kube.delivered_secrets import DeliveredSecrets
from teleport.kube.errors import Forbidden
from teleport.resources.token import SAFE_SECRET_LENGTH
from teleport_operator.conditions import State
from teleport_operator.obstacles import Obstacle
from teleport_operator.reconcile.secrets import KEY, SecretValue
from teleport_operator.secret_keeping import SecretKeeping

UID = "uid-of-the-object"
GIVEN = "0123456789abcdef"


class Story:
    """An object with a secret, and where its value is."""

    def __init__(self, **section: Any) -> None:
        spec = {"roles": ["Node"], "secret": section}
        self.raw = build_object(spec, uid=UID)
        self.declaration = declare(spec, uid=UID)
        self.secrets = WrittenSecrets()
        self.keeping = SecretKeeping(secrets=cast("DeliveredSecrets", self.secrets))

    async def choose(self, after: timedelta = timedelta()) -> SecretValue:
        assert self.declaration.secret is not None
        return await self.keeping.choose(self.declaration, self.declaration.secret, START + after)

    async def deliver(self, value: SecretValue) -> None:
        assert self.declaration.secret is not None
        await self.keeping.deliver(self.raw, self.declaration, self.declaration.secret, value)

    async def fail_to_choose(self) -> str:
        """Return why there is no value."""
        with pytest.raises(Obstacle) as caught:
            await self.choose()
        assert caught.value.state is State.SECRET_MISSING
        return caught.value.message


async def test_a_value_is_made_delivered_and_found_again() -> None:
    story = Story()
    made = await story.choose()
    assert made.is_new
    assert len(made.value) >= SAFE_SECRET_LENGTH
    assert story.secrets.stored == {}
    await story.deliver(made)
    assert story.secrets.stored[LONG_NAME].data == {KEY: made.value}
    assert await story.choose() == replace(made, is_new=False)


async def test_a_value_whose_time_has_come_is_replaced_in_the_same_secret() -> None:
    story = Story(rotateEvery="24h")
    first = await story.choose()
    await story.deliver(first)
    assert not (await story.choose(timedelta(hours=23))).is_new
    second = await story.choose(timedelta(hours=24))
    assert second.is_new
    await story.deliver(second)
    assert (await story.choose(timedelta(hours=24))).value == second.value != first.value


@pytest.mark.parametrize("owner", ["", "uid-of-another"])
async def test_a_secret_that_is_not_the_object_s_is_left_alone(owner: str) -> None:
    story = Story()
    story.secrets.put_other(LONG_NAME, {KEY: GIVEN}, owner)
    assert "it is left alone" in await story.fail_to_choose()
    with pytest.raises(Obstacle):
        await story.deliver(SecretValue(GIVEN, START, "", is_new=True))
    assert story.secrets.stored[LONG_NAME].owner == owner


async def test_a_value_is_read_where_the_object_says_and_read_again_when_it_changed() -> None:
    story = Story(fromSecret={"name": "source", "key": "token"})
    story.secrets.put_other("source", {"token": f" {GIVEN}\n"})
    value = await story.choose()
    assert value.value == GIVEN
    await story.deliver(value)
    assert not (await story.choose()).is_new
    story.secrets.put_other("source", {"token": GIVEN * 2})
    assert (await story.choose()).value == GIVEN * 2


async def test_a_source_that_is_not_there_is_named() -> None:
    assert "no Secret source" in await Story(fromSecret={"name": "source"}).fail_to_choose()


@pytest.mark.parametrize("value", ["", GIVEN[:-1], f"{GIVEN}\x07"])
async def test_a_source_that_holds_no_good_secret_is_named_and_not_quoted(value: str) -> None:
    story = Story(fromSecret={"name": "source", "key": "token"})
    story.secrets.put_other("source", {"token": value})
    message = await story.fail_to_choose()
    assert "key token of Secret source cannot be the token" in message
    assert not value or value not in message


async def test_without_the_right_the_api_server_s_words_are_passed_on() -> None:
    story = Story()
    story.secrets.failure = Forbidden("it is forbidden to read secrets")
    assert "it is forbidden to read secrets" in await story.fail_to_choose()
    with pytest.raises(Obstacle, match="it is forbidden"):
        await story.deliver(SecretValue(GIVEN, START, "", is_new=True))


async def test_of_two_who_write_at_once_one_looks_again() -> None:
    story = Story()
    value = await story.choose()

    async def put(*_: object) -> None:
        raise CompareFailed("it was written meanwhile")

    story.secrets.put = put  # type: ignore[assignment, method-assign]  # somebody is faster between reading and writing
    with pytest.raises(Obstacle, match="somebody else too") as caught:
        await story.deliver(value)
    assert value.value not in caught.value.message
