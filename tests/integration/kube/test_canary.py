"""Tokens that want auth to ask somebody of their choice: a listener where they point is never reached."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from support.jwt_tokens import build_claims, build_jwk, encode, sign
from support.pod_joining import FORGER, KINDS, PodJoining


@dataclass(slots=True)
class Canary:
    """A listener, and how often anybody came."""

    url: str = ""
    visits: list[object] = field(default_factory=list)

    async def greet(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits.append(reader)
        writer.close()


@pytest.fixture
async def canary() -> AsyncIterator[Canary]:
    found = Canary()
    server = await asyncio.start_server(found.greet, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    yield found
    server.close()
    await server.wait_closed()


async def test_the_listener_notices_who_comes(canary: Canary) -> None:
    host, port = canary.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    await reader.read()
    writer.close()
    assert len(canary.visits) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c"])
async def test_hostile_04_keys_that_a_token_brings_or_names_are_not_looked_at(
    canary: Canary, kind: str, name: str
) -> None:
    joining = await PodJoining.start(**KINDS[kind])
    brought: dict[str, Any] = {"jwk": build_jwk(FORGER), "x5c": [encode(b"certificate")]}
    header = {"alg": "RS256", "kid": canary.url, name: brought.get(name, f"{canary.url}/keys")}
    forged = sign(build_claims(), key=FORGER, **header)
    assert await joining.refuse(forged) == "token_header"
    assert (joining.api.asked, joining.api.keys_asked, canary.visits) == ([], 0, [])


@pytest.mark.parametrize("kind", KINDS)
async def test_hostile_03_04_neither_a_key_id_nor_an_issuer_is_an_address(canary: Canary, kind: str) -> None:
    joining = await PodJoining.start(**KINDS[kind])
    claims = build_claims(iss=canary.url, jku=canary.url)
    for key_id in (canary.url, f"{canary.url}/../keys"):
        assert await joining.refuse(sign(claims, key=FORGER, kid=key_id)) in (
            "not_authenticated",
            "unknown_key",
            "wrong_issuer",
        )
    assert canary.visits == []
