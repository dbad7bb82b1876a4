"""The image that several cases run."""

import pytest

from support.container_image import build_image, find_build_obstacle


@pytest.fixture(scope="session")
def teleport_image() -> str:
    obstacle = find_build_obstacle()
    if obstacle is not None:
        pytest.skip(f"NOT TESTED: the container image needs Docker: {obstacle}")
    return build_image()
