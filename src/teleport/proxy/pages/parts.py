"""The pages and their JSON as a part of the public port: every path, its bounds, and who answers."""

from http import HTTPStatus

from teleport.errors import NotFound
from teleport.proxy.offer import Offer, with_and_without_version
from teleport.proxy.pages.applications import ApplicationPages, Launcher
from teleport.proxy.pages.destinations import APPS, HOME, INVITE, LAUNCH, LOGIN, LOGOUT, RESET
from teleport.proxy.pages.forms import FORM, MAX_FORM
from teleport.proxy.pages.invitations import Invitations
from teleport.proxy.pages.login import Login
from teleport.proxy.pages.rendering import Pages, redirect
from teleport.proxy.pages.visitors import Auth, PatientAuth
from teleport.proxy.pages.web_api import WebApi
from teleport.web.call import Call, Handler, Reply, Route

SESSIONS_API = "/webapi/sessions"
APPS_API = "/webapi/apps"


def offer_pages(client: Auth, *, cluster_name: str, launcher: Launcher) -> Offer:
    """Return what people with a browser see.

    Args:
        client: to auth.
        cluster_name: stands on every page.
        launcher: the part that forwards to applications.
    """
    auth, pages = PatientAuth(client), Pages(cluster_name=cluster_name)
    login, invitations = Login(auth=auth, pages=pages), Invitations(auth=auth, pages=pages)
    applications = ApplicationPages(auth=auth, pages=pages, launcher=launcher)

    def get(path: str, handler: Handler) -> Route:
        return Route(path, "GET", handler, anonymous=True, max_body=0, is_page=True, explain=pages.explain)

    def post(path: str, handler: Handler) -> Route:
        return Route(path, "POST", handler, anonymous=True, max_body=MAX_FORM, accepts=FORM, explain=pages.explain)

    routes = (
        get("/", go_home),
        get(HOME, go_home),
        get(LOGIN, login.show),
        post(LOGIN, login.sign_in),
        post(LOGOUT, login.sign_out),
        *(get(f"{path}/*", invitations.show) for path in (INVITE, RESET)),
        *(post(f"{path}/*", invitations.accept) for path in (INVITE, RESET)),
        get(APPS, applications.show_list),
        get(f"{LAUNCH}/*", applications.launch),
        get(f"{HOME}/*", refuse_page),
        *pages.list_asset_routes(),
    )
    return Offer(routes=(*routes, *_build_api(WebApi(auth=auth, launcher=launcher))))


def _build_api(api: WebApi) -> tuple[Route, ...]:
    routes = (
        Route(SESSIONS_API, "POST", api.sign_in, anonymous=True, max_body=MAX_FORM),
        Route(SESSIONS_API, "DELETE", api.sign_out, anonymous=True, max_body=0),
        Route(APPS_API, "GET", api.list_applications, anonymous=True, max_body=0, is_page=True),
    )
    return tuple(each for route in routes for each in with_and_without_version(route))


async def go_home(_: Call) -> Reply:
    """Send whoever knows no path to the list of applications."""
    return redirect(APPS, status=HTTPStatus.FOUND)


async def refuse_page(_: Call) -> Reply:
    """Say that there is no such page.

    Raises:
        NotFound: always.
    """
    raise NotFound("there is no such page")
