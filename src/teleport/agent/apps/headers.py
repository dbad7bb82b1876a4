"""What an application is told in headers: who its user is, and what its configuration adds."""

import logging
import re
from collections.abc import Iterable

from teleport.agent.apps.judge import Admission
from teleport.config.applications import INTERNAL_JWT, split_templates
from teleport.config.settings import Target
from teleport.web.forwarding.plan import HeaderPlan
from teleport.web.forwarding.targets import Target as Address

ASSERTION_HEADER = "Teleport-Jwt-Assertion"
MAX_VALUES = 64
"""Of one header, where it stands for a trait of many values."""

_UNSENDABLE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
_EXTERNAL = "external."

logger = logging.getLogger(__name__)


def build_plan(app: Target, address: Address, admission: Admission, public_host: bytes) -> HeaderPlan:
    """Return what becomes of the headers of one user's requests.

    Args:
        app: as it is configured.
        address: where it is.
        admission: who its user is.
        public_host: the host by which the user asks for it, with its port.
    """
    headers = [(ASSERTION_HEADER, admission.told)]
    host = address.host_header
    for name, value in app.rewrite.headers:
        values = fill_templates(value, admission)
        if name.lower() == "host":
            host = values[0].encode("ascii", "ignore") if values else host
        else:
            headers += [(name, filled) for filled in values]
    return HeaderPlan(
        host=host,
        set_headers=tuple((name.encode("ascii"), value.encode()) for name, value in headers),
        redirect_hosts=frozenset(_list_hosts(app, address)),
        public_origin=b"https://" + public_host,
    )


def fill_templates(value: str, admission: Admission) -> tuple[str, ...]:
    """Return the values that stand for one: a trait of several values makes several, one that is missing none.

    A value that no header can hold is left out: what a trait says must not become a header of its own.
    """
    filled = [""]
    for text, template in split_templates(value):
        filled = [known + text for known in filled]
        if template == INTERNAL_JWT:
            filled = [known + admission.told for known in filled]
        elif template:
            traits = admission.assertion.traits.get(template.removeprefix(_EXTERNAL), ())
            filled = [known + trait for known in filled for trait in traits][:MAX_VALUES]
    sendable = tuple(known for known in filled if not _UNSENDABLE.search(known))
    if len(sendable) < len(filled):
        logger.warning("a trait of user %r cannot stand in a header and is left out", admission.assertion.user)
    return sendable


def _list_hosts(app: Target, address: Address) -> Iterable[bytes]:
    """Return the hosts that stand for the application in its redirects."""
    yield address.host_header
    name = f"[{address.host}]" if ":" in address.host else address.host
    yield f"{name}:{address.port}".lower().encode()
    for host in app.rewrite.redirect:
        yield host.encode("ascii")
