"""Which Kubernetes API an auth server asks, if it has any."""

import logging
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager

from teleport.clock import Clock
from teleport.config.settings import KubernetesSettings
from teleport.kube.access import KubernetesAccess, Report, Verification
from teleport.kube.api_server import ApiServer, find_in_cluster

logger = logging.getLogger(__name__)


def build_kubernetes_access(
    settings: KubernetesSettings,
    *,
    environ: Mapping[str, str],
    clock: Clock,
    observe: Callable[[], AbstractContextManager[object]],
    report: Report,
) -> KubernetesAccess | None:
    """Return the way to the API server that the settings name, or of the cluster that this process is a pod of."""
    server = find_api_server(settings, environ)
    if server is None:
        return None
    from teleport.kube.api import KubeApi  # noqa: PLC0415 - only who asks Kubernetes carries aiohttp

    verification = Verification(settings.verification)
    logger.info("ServiceAccount tokens of %s are verified by %s", server.url, verification)
    return KubernetesAccess(
        api=KubeApi(server, clock=clock),
        clock=clock,
        verification=verification,
        max_in_flight=settings.max_reviews,
        observe=observe,
        report=report,
    )


def find_api_server(settings: KubernetesSettings, environ: Mapping[str, str]) -> ApiServer | None:
    """Return the API server that the settings name, or of the cluster that this process is a pod of, or None."""
    if settings.api_server and settings.ca_file is not None and settings.token_file is not None:
        return ApiServer(settings.api_server, settings.ca_file, settings.token_file)
    return find_in_cluster(environ)
