import asyncio
from datetime import datetime, timedelta
from itertools import pairwise
from typing import cast

import pytest

from support.auth import InProcessAuth
from support.clock import START, FakeClock
from support.virtual_time import run_in_virtual_time, seconds
from teleport.api.identity import Identity
from teleport.api.joined import build_joined, generate_keys
from teleport.api.messages import Empty, JoinResponse
from teleport.api.operations import PING
from teleport.errors import ConnectionFailed, LimitExceeded, TeleportError, Unavailable
from teleport.resources.address import Address
from teleport.resources.role import SystemRole
from teleport.web.readiness import Readiness, State
from teleport_operator.auth_link import AuthLink

MINUTES = 60


class LoopClock:
    """The time of a loop in which waiting takes none."""

    def now(self) -> datetime:
        return START + timedelta(seconds=seconds())

    def monotonic(self) -> float:
        return seconds()


class FakeSource:
    """Gives identities of an hour, unless a test lets it fail."""

    def __init__(self, auth: InProcessAuth) -> None:
        self._auth = auth
        self.fails = False
        self.error: TeleportError = ConnectionFailed("no route to auth")
        self.asked: list[float] = []

    async def get(self) -> Identity:
        self.asked.append(seconds() / MINUTES)
        if self.fails:
            raise self.error
        keys = generate_keys()
        issued = self._auth.authority.issue_bot(
            bot_name="operator", instance_id="1", keys=self._auth.certify(keys), expires=None
        )
        trust = self._auth.authority.trust_bundle
        response = JoinResponse(host_id="1", certificates=issued.certificates, trust=trust)
        return build_joined(keys, response).identity(SystemRole.BOT)


class Story:
    """A link that runs, and what became of it."""

    def __init__(self, auth: InProcessAuth, clock: LoopClock) -> None:
        self.source = FakeSource(auth)
        self.readiness = Readiness(clock)
        self.ends: list[datetime] = []
        self.link = AuthLink(
            address=Address("127.0.0.1", 1),
            source=self.source,
            readiness=self.readiness,
            on_expiry=self.ends.append,
            clock=clock,
        )

    @classmethod
    async def begin(cls) -> "Story":
        clock = LoopClock()
        return cls(await InProcessAuth.start(clock=cast("FakeClock", clock)), clock)

    async def run_for(self, minutes: float, *, fails_after: float | None = None) -> None:
        """Let it run for a while."""
        task = asyncio.create_task(self.link.run())
        if fails_after is not None:
            asyncio.get_running_loop().call_later(fails_after * MINUTES, lambda: setattr(self.source, "fails", True))
        await asyncio.sleep(minutes * MINUTES)
        task.cancel()


def test_an_identity_is_renewed_at_about_half_of_its_life() -> None:
    async def tell() -> list[float]:
        story = await Story.begin()
        await story.run_for(100)
        assert story.readiness.state is State.OK
        assert story.ends[0] == START + timedelta(hours=1)
        return story.source.asked

    asked = run_in_virtual_time(tell())
    waits = [later - earlier for earlier, later in pairwise(asked)]
    assert len(waits) == 3
    assert all(27 <= wait <= 30 for wait in waits)


def test_before_the_first_identity_nothing_can_be_asked_and_readiness_says_why() -> None:
    async def tell() -> None:
        story = await Story.begin()
        story.source.fails = True
        await story.run_for(2)
        with pytest.raises(Unavailable, match="has not joined"):
            await story.link.call(PING, Empty())
        assert story.readiness.state is State.DEGRADED
        assert "no route to auth" in story.readiness.report().text
        assert len(story.source.asked) > 5

    run_in_virtual_time(tell())


@pytest.mark.parametrize(("minutes", "state"), [(44, State.OK), (47, State.DEGRADED)])
def test_without_another_identity_readiness_suffers_at_three_quarters_of_the_life(minutes: float, state: State) -> None:
    async def tell() -> None:
        story = await Story.begin()
        await story.run_for(minutes, fails_after=1)
        assert story.readiness.state is state

    run_in_virtual_time(tell())


def test_an_auth_server_that_sends_the_operator_away_is_left_alone_for_as_long_as_it_asks() -> None:
    async def tell() -> list[float]:
        story = await Story.begin()
        story.source.fails = True
        story.source.error = LimitExceeded("too many refused joins from this address", timedelta(seconds=45))
        await story.run_for(3)
        return story.source.asked

    asked = [minutes * MINUTES for minutes in run_in_virtual_time(tell())]
    assert asked == pytest.approx([0, 45, 90, 135])
