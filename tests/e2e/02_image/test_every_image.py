"""What holds for each container image: what it says of itself, and what is not in it."""

from typing import cast

import pytest

from support.container_image import BASE, Images, inspect, run_in
from teleport.version import VERSION

pytestmark = pytest.mark.timeout(600)

MAX_ADDED_BYTES = 200_000_000


@pytest.fixture(params=["teleport", "operator"])
def image(request: pytest.FixtureRequest, images: Images) -> str:
    return cast("str", getattr(images, request.param))


def test_it_says_what_it_is(image: str) -> None:
    labels = inspect(image)["Config"]["Labels"]
    assert labels["org.opencontainers.image.version"] == VERSION
    assert labels["org.opencontainers.image.licenses"] == "Apache-2.0"


@pytest.mark.parametrize("program", ["gcc", "pip", "pip3", "make"])
def test_nothing_to_build_or_install_with_is_in_it(image: str, program: str) -> None:
    assert run_in(image, "sh", "-c", f"command -v {program}").returncode != 0
    assert "No module named pip" in run_in(image, "/opt/teleport/bin/python", "-m", "pip").stderr


def test_no_list_of_packages_and_no_cache_is_left_in_it(image: str) -> None:
    folders = ("/var/lib/apt/lists", "/var/cache/apt", "/root", "/tmp")  # noqa: S108 - looked at, not used
    listed = run_in(image, "find", *folders, "-name", "*.deb", "-o", "-name", "*Packages*", "-o", "-name", "pip*")
    assert listed.stdout == ""


def test_it_is_small(image: str) -> None:
    assert inspect(image)["Size"] - inspect(BASE)["Size"] < MAX_ADDED_BYTES
