"""The container image of the operator: what is in it, and how it starts with nothing that it does not need."""

import pytest

from support.container_image import CONFINED, Images, docker, inspect, run_in

pytestmark = pytest.mark.timeout(600)

FLAGS = ("--auth-server=auth.example.com:3025", f"--ca-pin=sha256:{'0' * 64}")


@pytest.fixture
def image(images: Images) -> str:
    return images.operator


def test_it_is_not_root(image: str) -> None:
    assert inspect(image)["Config"]["User"] == "65532:65532"
    assert "uid=65532(teleport-operator) gid=65532(teleport-operator)" in run_in(image, "id").stdout


def test_kopf_is_in_it(image: str) -> None:
    assert run_in(image, "python", "-c", "import kopf").returncode == 0


@pytest.mark.parametrize("package", ["kubernetes", "pykube", "kubernetes_asyncio"])
def test_no_client_that_kopf_would_use_is_in_it(image: str, package: str) -> None:
    assert f"No module named '{package}'" in run_in(image, "python", "-c", f"import {package}").stderr


def test_it_starts_as_the_operator_and_says_which_flag_is_missing(image: str) -> None:
    done = docker("run", "--rm", *CONFINED, image)
    assert done.returncode == 2
    assert "--auth-server" in done.stderr


def test_outside_of_a_cluster_it_says_so_and_needs_nothing_to_write_to(image: str) -> None:
    done = docker("run", "--rm", *CONFINED, image, *FLAGS)
    assert done.returncode == 1
    assert "this process is no pod of a cluster; give --kubeconfig" in done.stderr
