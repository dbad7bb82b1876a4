"""The list of what somebody may open, and the way into an application."""

from collections.abc import Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Protocol

from teleport.api.operations import APPS_LIST
from teleport.api.people import AppInfo, AppsListRequest
from teleport.proxy.pages.cookies import SESSION, build_removal
from teleport.proxy.pages.destinations import build_launch_path, build_login_path
from teleport.proxy.pages.forgery import build_form_token
from teleport.proxy.pages.rendering import Pages, redirect
from teleport.proxy.pages.visitors import Auth, explain_outage, find_visitor
from teleport.web.call import Call, Reply


class Launcher(Protocol):
    """The part of the proxy that forwards to applications."""

    def locate(self, app: AppInfo) -> str:
        """Return the origin at which browsers open it; nothing for one that is not for browsers."""
        ...

    def find_host_name(self, app: AppInfo) -> str:
        """Return the host name that is the application's."""
        ...

    async def launch(self, *, session_id: str, host: str, query: Mapping[str, str], remote_addr: str) -> str:
        """Return where to send a browser that is to be let in."""
        ...


@dataclass(frozen=True, slots=True)
class Entry:
    """An application as the list shows it.

    Args:
        path: opens it; empty for one that is not for browsers.
    """

    app: AppInfo
    path: str


class ApplicationPages:
    """The handlers.

    Args:
        auth: decides.
        pages: says so.
        launcher: knows where applications are, and lets people in.
    """

    def __init__(self, *, auth: Auth, pages: Pages, launcher: Launcher) -> None:
        self._auth = auth
        self._pages = pages
        self._launcher = launcher

    async def show_list(self, call: Call) -> Reply:
        """Show what may be opened."""
        visitor = await find_visitor(self._auth, call.head)
        if visitor is None:
            return _sign_in_first(call)
        answer = await self._auth.call(APPS_LIST, AppsListRequest(session_id=visitor.session_id))
        entries = [self._build_entry(app) for app in answer.apps]
        return self._pages.render(
            "applications", visitor=visitor, token=build_form_token(visitor.session_id), entries=entries
        )

    async def launch(self, call: Call) -> Reply:
        """Send the browser into an application.

        Raises:
            NotFound, AccessDenied, LimitExceeded: it is not opened.
        """
        visitor = await find_visitor(self._auth, call.head)
        if visitor is None:
            return _sign_in_first(call)
        with explain_outage():
            location = await self._launcher.launch(
                session_id=visitor.session_id,
                host=call.parameter,
                query=call.head.query,
                remote_addr=call.peer.remote_addr,
            )
        return redirect(location, status=HTTPStatus.FOUND)

    def _build_entry(self, app: AppInfo) -> Entry:
        is_for_browsers = bool(self._launcher.locate(app))
        return Entry(app, build_launch_path(self._launcher.find_host_name(app)) if is_for_browsers else "")


def _sign_in_first(call: Call) -> Reply:
    return redirect(build_login_path(call.head.target), build_removal(SESSION), status=HTTPStatus.FOUND)
