import asyncio
from datetime import timedelta
from typing import Any, cast

import pytest

from support.clock import FakeClock
from teleport.api.client import Client
from teleport.api.people import AppInfo, AppSessionRequest, AppSessionResponse
from teleport.errors import AccessDenied, ConnectionFailed, TeleportError
from teleport.proxy.applications import sessions
from teleport.proxy.applications.sessions import FRESH, LONGEST_WITHOUT_AUTH, REFUSED, AppSessions, Credential

ALICE = Credential(app_session_id="alice")
MOMENT = timedelta(microseconds=1)
APP = AppInfo(name="grafana", description="", uri="http://x", public_addr="", protocol="", labels={})


class Auth:
    """Lets in, refuses, or is away."""

    def __init__(self, clock: FakeClock) -> None:
        self.error: TeleportError | None = None
        self.asked: list[AppSessionRequest] = []
        self.expires = clock.now() + timedelta(hours=1)

    async def call(self, _: Any, request: AppSessionRequest) -> AppSessionResponse:
        self.asked.append(request)
        await asyncio.sleep(0)
        if self.error is not None:
            raise self.error
        return AppSessionResponse(app=APP, user="alice", roles=(), assertion="a", host_ids=("h",), expires=self.expires)


class Stage:
    def __init__(self) -> None:
        self.clock = FakeClock()
        self.auth = Auth(self.clock)
        self.sessions = AppSessions(cast("Client", self.auth), clock=self.clock)

    async def open(self) -> sessions.AppSession:
        return await self.sessions.open(ALICE, "grafana", "192.0.2.1")


async def test_an_answer_is_used_until_it_is_old() -> None:
    stage = Stage()
    await stage.open()
    stage.clock.advance(FRESH - MOMENT)
    await stage.open()
    assert len(stage.auth.asked) == 1
    stage.clock.advance(MOMENT)
    await stage.open()
    assert len(stage.auth.asked) == 2


async def test_no_answer_is_used_after_its_end() -> None:
    stage = Stage()
    stage.auth.expires = stage.clock.now() + timedelta(seconds=2)
    await stage.open()
    stage.clock.advance(timedelta(seconds=2))
    assert stage.sessions.find(ALICE, "grafana") is None


async def test_those_who_ask_at_once_share_one_question() -> None:
    stage = Stage()
    await asyncio.gather(*(stage.open() for _ in range(5)))
    assert len(stage.auth.asked) == 1


async def test_one_who_goes_away_takes_the_answer_from_nobody() -> None:
    stage = Stage()
    first, second = asyncio.create_task(stage.open()), asyncio.create_task(stage.open())
    await asyncio.sleep(0)
    first.cancel()
    assert (await second).app == "grafana"


async def test_a_refusal_is_remembered_for_a_moment_and_ends_what_was_allowed() -> None:
    stage = Stage()
    await stage.open()
    stage.clock.advance(FRESH)
    stage.auth.error = AccessDenied("no")
    for _ in range(3):
        with pytest.raises(AccessDenied, match="no"):
            await stage.open()
    assert len(stage.auth.asked) == 2
    stage.clock.advance(REFUSED)
    stage.auth.error = None
    assert (await stage.open()).app == "grafana"


async def test_auth_may_be_away_for_two_minutes_and_not_longer() -> None:
    stage = Stage()
    await stage.open()
    stage.auth.error = ConnectionFailed("away")
    stage.clock.advance(LONGEST_WITHOUT_AUTH - MOMENT)
    await stage.open()
    stage.clock.advance(MOMENT)
    with pytest.raises(ConnectionFailed):
        await stage.open()


async def test_who_is_not_known_gets_nothing_while_auth_is_away() -> None:
    stage = Stage()
    stage.auth.error = ConnectionFailed("away")
    with pytest.raises(ConnectionFailed):
        await stage.open()


async def test_so_many_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sessions, "MAX_REMEMBERED", 2)
    stage = Stage()
    for name in "abc":
        await stage.sessions.open(Credential(app_session_id=name), "grafana", "")
    known = [stage.sessions.is_known(Credential(app_session_id=name), "grafana") for name in "abc"]
    assert known == [False, True, True]


def test_a_credential_is_not_shown() -> None:
    assert "alice" not in repr(ALICE)
