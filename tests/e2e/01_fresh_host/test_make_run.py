"""The first command of the README, on machines that have never seen this project."""

from collections.abc import Iterator

import pytest

from support.fresh_host import FreshHost, find_obstacle

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(params=["debian:trixie-slim", "debian:bookworm-slim"])
def image(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    obstacle = find_obstacle(name)
    if obstacle is not None:
        pytest.skip(f"NOT TESTED: a fresh host needs {name} in Docker: {obstacle}")
    return name


@pytest.fixture
def host(image: str) -> Iterator[FreshHost]:
    made = FreshHost(image)
    try:
        made.start()
        yield made
    finally:
        made.remove()


def test_make_run_goes_from_nothing_to_a_joined_service(host: FreshHost) -> None:
    status, refused = host.try_run("make run ONCE=1", user="nobody")
    assert status != 0
    assert "sudo apt-get install -y python3-venv" in refused

    first = host.run("make run ONCE=1")
    for shown in ("The invite token: ", "$ tctl status\n", "$ tctl tokens ls\n", "$ tctl nodes ls\n", "example-node "):
        assert shown in first

    second = host.run("make run ONCE=1")
    assert "needs no token" in second
    assert "installing" not in second
