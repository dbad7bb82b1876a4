"""Where this agent keeps its state: in a Secret where it is a replica in Kubernetes, else in its data directory."""

import logging
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from pathlib import Path

from teleport.agent.secret_place import NAMESPACE_VARIABLE, REPLICA_VARIABLE, SecretPlace, parse_place
from teleport.agent.state import FileState, StateStore
from teleport.clock import Clock
from teleport.kube.api_server import POD_FOLDER, ApiServer, find_in_cluster

logger = logging.getLogger(__name__)


@asynccontextmanager
async def open_state(
    data_dir: Path, environ: Mapping[str, str], *, clock: Clock, pod_folder: Path = POD_FOLDER
) -> AsyncIterator[StateStore]:
    """Return what keeps the state, for the time of a block.

    Args:
        data_dir: of the process.
        environ: says whether it is a replica, and where the API server is.
        clock: the present.
        pod_folder: where Kubernetes mounts the ServiceAccount's token.

    Raises:
        BadParameter: the environment names what cannot be a Secret.
    """
    local = FileState(data_dir)
    place, server = parse_place(environ), _find_server(environ, pod_folder)
    if place is None or server is None:
        if place is not None:
            logger.warning(
                "%s and %s are set, and no ServiceAccount token is mounted in %s: the agent's state is kept in %s",
                NAMESPACE_VARIABLE,
                REPLICA_VARIABLE,
                pod_folder,
                local.place,
            )
        yield local
        return
    async with _open_secret(place, server, local, clock) as states:
        yield states


def _find_server(environ: Mapping[str, str], pod_folder: Path) -> ApiServer | None:
    """Return the API server of a pod to which a ServiceAccount's token is mounted."""
    server = find_in_cluster(environ, pod_folder)
    token_file = None if server is None else server.token_file
    return server if token_file is not None and token_file.exists() else None


@asynccontextmanager
async def _open_secret(
    place: SecretPlace, server: ApiServer, local: StateStore, clock: Clock
) -> AsyncIterator[StateStore]:
    # Imported here and not above: an agent that is no replica carries none of it in memory.
    from teleport.agent.secret_state import SecretState  # noqa: PLC0415
    from teleport.kube.api import KubeApi  # noqa: PLC0415

    api = KubeApi(server, clock=clock)
    try:
        states = SecretState(api=api, place=place, local=local)
        logger.info("the agent's state is kept in %s", states.place)
        yield states
    finally:
        await api.close()
