import logging
from pathlib import Path

import pytest

from support.clock import FakeClock
from teleport.agent.state_choice import open_state
from teleport.errors import BadParameter

IN_CLUSTER = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
REPLICA = {"KUBE_NAMESPACE": "ns", "TELEPORT_REPLICA_NAME": "app-0"}


@pytest.fixture
def pod_folder(tmp_path: Path) -> Path:
    """A folder as Kubernetes mounts it."""
    folder = tmp_path / "serviceaccount"
    folder.mkdir()
    (folder / "token").write_text("token")
    return folder


async def choose(environ: dict[str, str], tmp_path: Path) -> str:
    """Return where the state is kept."""
    async with open_state(
        tmp_path / "data", environ, clock=FakeClock(), pod_folder=tmp_path / "serviceaccount"
    ) as states:
        return states.place


@pytest.mark.usefixtures("pod_folder")
async def test_store_003_a_replica_in_kubernetes_keeps_its_state_in_a_secret(tmp_path: Path) -> None:
    assert await choose(IN_CLUSTER | REPLICA, tmp_path) == "Secret ns/app-0-state"


@pytest.mark.usefixtures("pod_folder")
@pytest.mark.parametrize("environ", [{}, IN_CLUSTER, IN_CLUSTER | {"KUBE_NAMESPACE": "ns"}])
async def test_others_keep_it_in_the_data_directory(environ: dict[str, str], tmp_path: Path) -> None:
    assert await choose(environ, tmp_path) == str(tmp_path / "data" / "proc" / "state.json")


async def test_a_replica_without_a_service_account_keeps_it_in_the_data_directory_and_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    for environ in (REPLICA, IN_CLUSTER | REPLICA):
        caplog.clear()
        assert await choose(environ, tmp_path) == str(tmp_path / "data" / "proc" / "state.json")
        assert "no ServiceAccount token is mounted" in caplog.text


async def test_a_name_that_is_none_is_refused_before_anything_is_kept(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="TELEPORT_REPLICA_NAME"):
        await choose(REPLICA | {"TELEPORT_REPLICA_NAME": "../other"}, tmp_path)
