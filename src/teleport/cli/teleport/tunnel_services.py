"""The services of an agent that proxies reach through tunnels, where it knows of proxies."""

import logging
from collections.abc import Mapping

from teleport.api.host import Runner
from teleport.clock import Clock
from teleport.config.settings import Settings
from teleport.resources.role import SystemRole
from teleport.web.readiness import Readiness

logger = logging.getLogger(__name__)


def build_tunnel_services(
    settings: Settings, environment: Mapping[str, str], *, readiness: Readiness, clock: Clock
) -> list[Runner]:
    """Return them; none for an agent that knows auth's address only, which is listed and cannot be reached.

    Raises:
        BadParameter: the environment names an address that is none.
    """
    if all(service.role is not SystemRole.APP for service in settings.services):
        return []
    from teleport.agent.apps.serving import serve_applications  # noqa: PLC0415 - others do not carry it in memory
    from teleport.agent.tunnels.place import choose_place  # noqa: PLC0415 - the same
    from teleport.agent.tunnels.service import TunnelService  # noqa: PLC0415 - the same

    place = choose_place(settings, environment)
    if place is None:
        logger.warning("applications cannot be reached from here: set teleport.proxy_server, in place of auth_server")
        return []
    serve = serve_applications(settings.applications, clock=clock)
    return [TunnelService(place, role=SystemRole.APP, clock=clock, readiness=readiness, serve=serve)]
