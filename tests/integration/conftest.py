"""Real processes for the tests of this folder: shared by a module, or made for one test."""

from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any

import pytest

from support.cluster import Agent, AgentFactory, AuthFactory, AuthServer
from support.processes import Processes

SHOWN: pytest.StashKey[list[Processes]] = pytest.StashKey()
"""The processes whose logs a failing test of the session may want to show."""


def pytest_configure(config: pytest.Config) -> None:
    config.stash[SHOWN] = []


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if call.excinfo is not None:
        logs = "\n".join(processes.render_logs() for processes in item.config.stash[SHOWN])
        report.sections.append(("logs of the processes", logs))
    return report


def _look_after(config: pytest.Config) -> Iterator[Processes]:
    processes = Processes()
    config.stash[SHOWN].append(processes)
    yield processes
    processes.close()
    config.stash[SHOWN].remove(processes)


@pytest.fixture
def processes(request: pytest.FixtureRequest) -> Iterator[Processes]:
    yield from _look_after(request.config)


@pytest.fixture(scope="module")
def shared_processes(request: pytest.FixtureRequest) -> Iterator[Processes]:
    yield from _look_after(request.config)


@pytest.fixture(scope="module")
def auth(shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> AuthServer:
    """An auth server that all tests of a module share."""
    return AuthServer(shared_processes, tmp_path_factory.mktemp("shared") / "auth").start()


@pytest.fixture(scope="module")
def pin(auth: AuthServer) -> str:
    return auth.get_pin()


@pytest.fixture
def make_auth(processes: Processes, tmp_path: Path) -> AuthFactory:
    """Makes auth servers for one test, which are not started."""

    def make(name: str = "auth", **fields: Any) -> AuthServer:
        return AuthServer(processes, tmp_path / name, **fields)

    return make


@pytest.fixture
def make_agent(processes: Processes, tmp_path: Path) -> AgentFactory:
    """Makes agents for one test, which are not started."""

    def make(auth: AuthServer, *flags: str, name: str = "agent", roles: str = "node") -> Agent:
        return Agent(processes, tmp_path / name, auth.address, flags=flags, roles=roles)

    return make
