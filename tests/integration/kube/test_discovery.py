"""Keys of an issuer: fetched when they are needed, kept for a while, and never from where a token leads."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from support.clock import FakeClock
from support.fake_kube import running_fake_kube
from support.jwt_tokens import build_jwks
from support.stand_in import StandIn, running_stand_in
from teleport.kube import openid
from teleport.kube.discovery import OidcKeys
from teleport.kube.errors import BadAnswer, NoAnswer
from teleport.kube.openid import MAX_DOCUMENT
from teleport.kube.published_keys import FAILURE_PAUSE, LIFE, REFRESH_PAUSE, STALE_LIFE

DOCUMENT, KEYS = "/.well-known/openid-configuration", "/keys"
MOMENT = timedelta(seconds=1)
PATIENCE = timedelta(seconds=30)
"""For what a busy machine does not do in time; nothing that works comes near it."""


@asynccontextmanager
async def running(**changes: str) -> AsyncIterator[tuple[StandIn, OidcKeys, FakeClock]]:
    """Run an issuer; changes go into its discovery document."""
    async with running_stand_in() as issuer:
        document = {"issuer": issuer.url, "jwks_uri": issuer.url + KEYS, **changes}
        issuer.answers[DOCUMENT] = lambda _: web.json_response(document)
        issuer.answers[KEYS] = lambda _: web.Response(text=build_jwks())
        clock = FakeClock()
        yield issuer, OidcKeys(issuer.url, clock=clock, allow_http=True), clock


async def test_keys_are_fetched_once_and_kept_for_ten_minutes() -> None:
    async with running() as (issuer, keys, clock):
        assert await keys.load() == build_jwks()
        clock.advance(LIFE)
        await keys.load()
        assert issuer.asked == [DOCUMENT, KEYS]
        clock.advance(MOMENT)
        await keys.load()
        assert issuer.asked == [DOCUMENT, KEYS] * 2


async def test_hostile_19_unknown_keys_lead_to_one_look_a_minute() -> None:
    async with running() as (issuer, keys, clock):
        await keys.load()
        for looks in (2, 3):
            for _ in range(100):
                await keys.refresh()
            assert issuer.asked == [DOCUMENT, KEYS] * looks
            clock.advance(REFRESH_PAUSE + MOMENT)


async def test_while_the_issuer_is_away_its_last_keys_are_good_for_an_hour() -> None:
    async with running() as (issuer, keys, clock):
        await keys.load()
        issuer.answers.clear()
        clock.advance(STALE_LIFE)
        assert await keys.load() == build_jwks()
        clock.advance(MOMENT)
        with pytest.raises(NoAnswer):
            await keys.load()


@pytest.mark.parametrize("changes", [{"issuer": "https://other"}, {"jwks_uri": "file:///etc/passwd"}, {"jwks_uri": ""}])
async def test_a_document_that_leads_elsewhere_is_refused(
    changes: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(openid, "TIMEOUT", PATIENCE)
    async with running(**changes) as (issuer, keys, _):
        with pytest.raises(BadAnswer) as refusal:
            await keys.load()
    assert issuer.url in refusal.value.detail
    assert issuer.asked == [DOCUMENT]


async def test_hostile_04_a_redirect_is_not_followed() -> None:
    async with running() as (issuer, keys, _):
        issuer.answers[KEYS] = lambda _: web.Response(status=302, headers={"Location": issuer.url + "/elsewhere"})
        with pytest.raises(NoAnswer) as refusal:
            await keys.load()
    assert "302" in refusal.value.detail
    assert "/elsewhere" not in issuer.asked


async def test_an_answer_that_is_too_large_is_refused() -> None:
    async with running() as (issuer, keys, _):
        issuer.answers[KEYS] = lambda _: web.Response(body=b" " * (MAX_DOCUMENT + 1))
        with pytest.raises(NoAnswer) as refusal:
            await keys.load()
    assert "larger than" in refusal.value.detail


async def test_plain_http_is_refused_unless_a_test_asks_for_it() -> None:
    async with running() as (issuer, _, clock):
        with pytest.raises(NoAnswer) as refusal:
            await OidcKeys(issuer.url, clock=clock).load()
    assert "https" in refusal.value.detail


async def test_hostile_20_an_issuer_that_hangs_is_given_up_and_is_not_waited_for_again_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(openid, "TIMEOUT", timedelta(milliseconds=50))
    async with running() as (issuer, keys, clock):
        issuer.let_go.clear()
        for _ in range(3):
            with pytest.raises(NoAnswer) as refusal:
                await keys.load()
            assert "in time" in refusal.value.detail
        assert issuer.asked == [DOCUMENT]
        issuer.let_go.set()
        monkeypatch.setattr(openid, "TIMEOUT", PATIENCE)
        clock.advance(FAILURE_PAUSE + MOMENT)
        assert await keys.load() == build_jwks()


async def test_the_roots_of_the_machine_or_of_ssl_cert_file_are_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with running_fake_kube(tmp_path) as kube:
        kube.own_tokens = {""}
        kube.answers = {DOCUMENT: {"issuer": kube.url, "jwks_uri": kube.url + KEYS}, KEYS: json.loads(build_jwks())}
        clock = FakeClock()
        keys = OidcKeys(kube.url, clock=clock)
        with pytest.raises(NoAnswer) as refusal:
            await keys.load()
        assert "not trusted" in refusal.value.detail
        assert kube.received == []
        monkeypatch.setenv("SSL_CERT_FILE", str(kube.server.ca_file))
        clock.advance(FAILURE_PAUSE + MOMENT)
        assert json.loads(await keys.load()) == json.loads(build_jwks())
    assert [each.token for each in kube.received] == ["", ""]
