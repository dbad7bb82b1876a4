from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import cast

import pytest
from yarl import URL

from support.clock import FakeClock
from support.virtual_time import run_in_virtual_time, seconds
from teleport.lean_aiohttp import aiohttp
from teleport.web.readiness import Readiness, State
from teleport_operator.watch_session import TOLERATED_REFUSALS, Attendant

WATCH = URL("https://kubernetes/apis/resources.teleport.dev/v2/teleportprovisiontokens?watch=true")
DISCOVERY = URL("https://kubernetes/apis")


@dataclass(frozen=True, slots=True)
class FakeRequest:
    """Nothing but where it goes."""

    url: URL
    method: str = "GET"


@dataclass(slots=True)
class FakeAnswer:
    """Nothing but a head."""

    status: int
    headers: Mapping[str, str] = field(default_factory=dict)
    is_closed: bool = False

    def close(self) -> None:
        self.is_closed = True


class Story:
    """An attendant and the API server behind it."""

    def __init__(self) -> None:
        self.readiness = Readiness(FakeClock())
        self.attendant = Attendant(self.readiness)

    async def ask(self, url: URL, answer: FakeAnswer) -> FakeAnswer:
        async def handle(_: aiohttp.ClientRequest) -> aiohttp.ClientResponse:
            return cast("aiohttp.ClientResponse", answer)

        request = cast("aiohttp.ClientRequest", FakeRequest(url))
        return cast("FakeAnswer", await self.attendant(request, handle))


@pytest.fixture
def story() -> Story:
    return Story()


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(("asked", "waited"), [("7", 7), ("0", 1), ("soon", 1), ("86400", 30)])
def test_whoever_sends_the_watch_away_is_left_alone_within_bounds(
    story: Story, status: int, asked: str, waited: float
) -> None:
    async def tell() -> None:
        answer = FakeAnswer(status, {"Retry-After": asked})
        with pytest.raises(aiohttp.ClientConnectionError, match=str(status)):
            await story.ask(WATCH, answer)
        assert answer.is_closed
        assert seconds() == waited

    run_in_virtual_time(tell())


@pytest.mark.parametrize("answer", [FakeAnswer(503), FakeAnswer(500, {"Retry-After": "7"}), FakeAnswer(410)])
async def test_whatever_asks_for_no_wait_is_left_to_kopf(story: Story, answer: FakeAnswer) -> None:
    assert await story.ask(WATCH, answer) is answer


async def test_only_a_watch_that_is_answered_makes_ready(story: Story) -> None:
    states = []
    for url in (DISCOVERY, WATCH):
        await story.ask(url, FakeAnswer(200))
        states.append(story.readiness.state)
    assert states == [State.STARTING, State.OK]


@pytest.mark.parametrize(
    ("refusals", "state"), [(TOLERATED_REFUSALS - 1, State.STARTING), (TOLERATED_REFUSALS, State.DEGRADED)]
)
async def test_what_is_refused_again_and_again_is_named(story: Story, refusals: int, state: State) -> None:
    for _ in range(refusals):
        await story.ask(DISCOVERY, FakeAnswer(415))
    assert story.readiness.state is state
    assert ("answers 415 to GET /apis" in story.readiness.report().text) == (state is State.DEGRADED)


async def test_a_refusal_is_told_once_for_each_time_without_a_watch(
    story: Story, caplog: pytest.LogCaptureFixture
) -> None:
    for answers in ([415] * 10, [200], [403] * 10):
        for status in answers:
            await story.ask(WATCH, FakeAnswer(status))
    assert caplog.text.count("objects cannot be watched") == 2
    assert story.readiness.state is State.DEGRADED
