from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from support.clock import FakeClock
from teleport.backend.catalog import BACKENDS, open_backend
from teleport.backend.protocol import Backend


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture(params=sorted(BACKENDS))
async def backend(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Backend]:
    """Every backend of the catalog; it sweeps only when a test makes it (`sweeping_backend`)."""
    opened = await open_backend(request.param, path=tmp_path / "store", clock=clock, sweep_period=timedelta(hours=1))
    yield opened
    await opened.close()


@pytest.fixture(params=sorted(BACKENDS))
async def sweeping_backend(request: pytest.FixtureRequest, tmp_path: Path, clock: FakeClock) -> AsyncIterator[Backend]:
    """The same, sweeping without rest."""
    period = timedelta(milliseconds=5)
    opened = await open_backend(request.param, path=tmp_path / "store", clock=clock, sweep_period=period)
    yield opened
    await opened.close()
