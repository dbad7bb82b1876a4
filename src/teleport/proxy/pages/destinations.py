"""The proxy's own pages by their paths, and where somebody goes who has just signed in."""

import re
from urllib.parse import quote

HOME = "/web"
LOGIN = "/web/login"
LOGOUT = "/web/logout"
INVITE = "/web/invite"
RESET = "/web/reset"
APPS = "/web/apps"
LAUNCH = "/web/launch"
MAX_ENCODED = 2048
"""Characters of a way back as it stands in a form or a query: half of what either may have."""
_LAUNCH = re.compile(LAUNCH + r"/[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}(?:\?[A-Za-z0-9._~!$&'()*+,;=:@/?%-]*)?")


def find_destination(wish: str) -> str:
    """Return where to go: to the launch of an application if that is wished for, and to the list otherwise.

    No other address is gone to, so that no link to this site leads to another one.
    """
    return wish if len(quote(wish, safe="")) <= MAX_ENCODED and _LAUNCH.fullmatch(wish) else APPS


def build_login_path(target: str) -> str:
    """Return the path to sign in at, from where one comes back to a page of ours.

    Args:
        target: the path and query that were asked for; a query that is too long to be carried along is left out.
    """
    for wish in (target, target.partition("?")[0]):
        if find_destination(wish) == wish != APPS:
            return f"{LOGIN}?next={quote(wish, safe='')}"
    return LOGIN


def build_launch_path(host_name: str) -> str:
    """Return the path that opens an application, or nothing for a host name that cannot stand in one."""
    path = f"{LAUNCH}/{host_name}"
    return path if _LAUNCH.fullmatch(path) and "?" not in path else ""
