from collections.abc import AsyncIterator

import aiohttp
import pytest

from support.app_chain import Chain, open_chain
from support.auth import InProcessAuth


@pytest.fixture
async def chain() -> AsyncIterator[Chain]:
    """A proxy whose auth is in this process; agents are added by tests."""
    async with open_chain(await InProcessAuth.start()) as opened:
        yield opened


@pytest.fixture
async def browser() -> AsyncIterator[aiohttp.ClientSession]:
    """A client that follows no redirect by itself and keeps no cookie."""
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield session
