from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from support.app_chain import Chain, open_chain
from support.auth import InProcessAuth
from teleport.api import operations as ops
from teleport.api import people as p
from teleport.auth.app_sessions import CODE_LIFE
from teleport.auth.stores import app_sessions as store
from teleport.config.settings import Target
from teleport.errors import AccessDenied, BadParameter, LimitExceeded

STATE = "s" * 43
MOMENT = timedelta(microseconds=1)


@pytest.fixture
async def chain() -> AsyncIterator[Chain]:
    async with open_chain(await InProcessAuth.start()) as opened:
        await opened.add_agent(Target("grafana", uri="http://a"), Target("wiki", uri="http://a"))
        yield opened


async def launch(chain: Chain, session: str, app: str = "grafana", state: str = STATE) -> str:
    request = p.AppLaunchRequest(session_id=session, app=app, state=state, remote_addr="203.0.113.9")
    return str((await chain.client.call(ops.APP_LAUNCH, request)).code)


async def redeem(chain: Chain, code: str, app: str = "grafana", state: str = STATE) -> p.AppRedeemResponse:
    begun = await chain.client.call(ops.APP_REDEEM, p.AppRedeemRequest(code=code, state=state, app=app))
    assert isinstance(begun, p.AppRedeemResponse)
    return begun


async def open_app(chain: Chain, app_session_id: str, app: str = "grafana") -> Any:
    return await chain.client.call(ops.APP_SESSION, p.AppSessionRequest(app_session_id=app_session_id, app=app))


async def test_a_code_begins_one_session_and_no_more(chain: Chain) -> None:
    code = await launch(chain, await chain.sign_in("alice", "access"))
    begun = await redeem(chain, code)
    assert (await open_app(chain, begun.app_session_id)).user == "alice"
    with pytest.raises(AccessDenied, match="was used or is over"):
        await redeem(chain, code)


async def test_a_code_is_good_for_a_minute(chain: Chain) -> None:
    session = await chain.sign_in("alice", "access")
    code = await launch(chain, session)
    chain.auth.clock.advance(CODE_LIFE)
    await redeem(chain, code)
    code = await launch(chain, session)
    chain.auth.clock.advance(CODE_LIFE + MOMENT)
    with pytest.raises(AccessDenied):
        await redeem(chain, code)


async def test_another_browser_or_another_application_does_not_use_it_up(chain: Chain) -> None:
    code = await launch(chain, await chain.sign_in("alice", "access"))
    with pytest.raises(AccessDenied):
        await redeem(chain, code, state="t" * 43)
    with pytest.raises(AccessDenied):
        await redeem(chain, code, app="wiki")
    with pytest.raises(AccessDenied):
        await redeem(chain, "another")
    await redeem(chain, code)


async def test_nobody_is_launched_into_what_they_may_not_open(chain: Chain) -> None:
    with pytest.raises(AccessDenied):
        await launch(chain, await chain.sign_in("bob", "auditor"))
    assert [event["success"] for event in await chain.auth.list_events("app.session.start")] == [False]


async def test_a_web_session_that_is_over_launches_and_redeems_nothing(chain: Chain) -> None:
    session = await chain.sign_in("alice", "access")
    code = await launch(chain, session)
    await chain.client.call(ops.SESSION_END, p.SessionRequest(session_id=session))
    with pytest.raises(AccessDenied):
        await redeem(chain, code)
    with pytest.raises(AccessDenied):
        await launch(chain, session)


async def test_a_session_is_of_one_application_and_no_web_session(chain: Chain) -> None:
    session = await chain.sign_in("alice", "access")
    begun = await redeem(chain, await launch(chain, session))
    with pytest.raises(AccessDenied):
        await open_app(chain, begun.app_session_id, "wiki")
    with pytest.raises(AccessDenied):
        await chain.client.call(ops.SESSION_SHOW, p.SessionRequest(session_id=begun.app_session_id))
    for forged in ("", session, begun.app_session_id[:-1], "x" * 64 + "." + "y" * 43):
        with pytest.raises((AccessDenied, BadParameter)):
            await open_app(chain, forged)


async def test_a_new_session_of_an_application_ends_the_former_one(chain: Chain) -> None:
    session = await chain.sign_in("alice", "access")
    first = await redeem(chain, await launch(chain, session))
    second = await redeem(chain, await launch(chain, session))
    await open_app(chain, second.app_session_id)
    with pytest.raises(AccessDenied):
        await open_app(chain, first.app_session_id)


async def test_one_sign_in_opens_so_many_applications_and_no_more(
    chain: Chain, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("teleport.auth.app_sessions.MAX_SESSIONS", 1)
    session = await chain.sign_in("alice", "access")
    await redeem(chain, await launch(chain, session))
    await redeem(chain, await launch(chain, session))
    with pytest.raises(LimitExceeded):
        await redeem(chain, await launch(chain, session, "wiki"), "wiki")


async def test_signing_out_ends_all_of_them_and_tells_of_each_application_once(chain: Chain) -> None:
    session = await chain.sign_in("alice", "access")
    begun = [await redeem(chain, await launch(chain, session, app), app) for app in ("grafana", "wiki", "grafana")]
    await chain.client.call(ops.SESSION_END, p.SessionRequest(session_id=session))
    for each, app in zip(begun, ("grafana", "wiki", "grafana"), strict=True):
        with pytest.raises(AccessDenied):
            await open_app(chain, each.app_session_id, app)
    ended = await chain.auth.list_events("app.session.end")
    assert [(event["user"], event["app_name"]) for event in ended] == [("alice", "grafana"), ("alice", "wiki")]
    await chain.client.call(ops.SESSION_END, p.SessionRequest(session_id=session))
    assert len(await chain.auth.list_events("app.session.end")) == 2


async def test_a_stolen_store_lets_nobody_in(chain: Chain) -> None:
    session = await chain.sign_in("alice", "access")
    code = await launch(chain, session)
    begun = await redeem(chain, await launch(chain, session))
    stored = [item for prefix in (store.CODES, store.SESSIONS) for item in await chain.auth.backend.range(prefix)]
    assert len(stored) == 2
    secrets = (code, STATE, session, begun.app_session_id.partition(".")[2])
    for item in stored:
        assert not any(secret in item.key or secret.encode() in item.value for secret in secrets)


async def test_the_directory_is_told_when_it_has_changed(chain: Chain) -> None:
    first = await chain.client.call(ops.APP_NAMES, p.AppNamesRequest())
    assert first.apps == {"grafana": (), "wiki": ()}
    again = await chain.client.call(ops.APP_NAMES, p.AppNamesRequest(revision=first.revision))
    assert (again.revision, again.apps) == (first.revision, None)
    await chain.add_agent(Target("wiki", uri="http://b", public_addr="wiki.example.org"))
    changed = await chain.client.call(ops.APP_NAMES, p.AppNamesRequest(revision=first.revision))
    assert changed.apps == {"grafana": (), "wiki": ("wiki.example.org",)}


async def test_an_assertion_says_less_and_never_more(chain: Chain) -> None:
    session = await chain.sign_in("alice", "access", team=["blue"])
    whole = (await chain.client.call(ops.APP_SESSION, p.AppSessionRequest(session_id=session, app="grafana"))).assertion
    narrow = chain.auth.people.table[ops.APP_ASSERTION]
    agent = chain.client.caller
    lesser = (await narrow(p.AppAssertionRequest(assertion=whole, uri="http://a", claims="none"), agent)).assertion
    again = await narrow(p.AppAssertionRequest(assertion=lesser, uri="http://a", claims="roles-and-traits"), agent)
    assert again.assertion.split(".")[1] == lesser.split(".")[1]
    for text, uri in ((whole, "http://b"), ("forged", "http://a"), (whole[:-4] + "AAAA", "http://a")):
        with pytest.raises(AccessDenied):
            await narrow(p.AppAssertionRequest(assertion=text, uri=uri, claims="none"), agent)
