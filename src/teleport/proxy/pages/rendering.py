"""Turns templates into pages, and says with each what a browser may do with it."""

import hashlib
from datetime import datetime
from http import HTTPStatus
from importlib.resources import files

from jinja2 import Environment, PackageLoader, StrictUndefined

from teleport.web.call import Call, Reply, Route
from teleport.web.errors import explain_error

HTML = "text/html; charset=utf-8"
ONE_YEAR = "public, max-age=31536000, immutable"
_POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
)
HARDENING = (
    ("Strict-Transport-Security", "max-age=31536000"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
)
"""For every answer to a browser. Links of invitations are in paths, so that no path is told to anybody."""
_PAGE_HEADERS = (
    *HARDENING,
    ("Content-Security-Policy", _POLICY),
    ("Cross-Origin-Opener-Policy", "same-origin"),
    ("X-Frame-Options", "DENY"),
)
_ASSETS = {"style.css": "text/css; charset=utf-8", "icon.svg": "image/svg+xml"}


class Pages:
    """All templates, compiled.

    Args:
        cluster_name: stands on every page.
    """

    def __init__(self, *, cluster_name: str) -> None:
        self._environment = Environment(
            loader=PackageLoader(__package__),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
        self._assets = {name: (files(__package__) / "assets" / name).read_bytes() for name in _ASSETS}
        self._environment.globals["cluster_name"] = cluster_name
        self._environment.globals["asset_path"] = self.asset_path
        self._environment.filters["moment"] = render_moment

    def render(
        self,
        template: str,
        *,
        status: HTTPStatus = HTTPStatus.OK,
        headers: tuple[tuple[str, str], ...] = (),
        **context: object,
    ) -> Reply:
        """Return a page, which nobody may keep.

        Args:
            template: the file's name without its ending.
            status: of the answer.
            headers: beside those of every page.
            context: what the template shows.
        """
        text = self._environment.get_template(f"{template}.html").render(context)
        return Reply(int(status), text.encode(), content_type=HTML, headers=(*_PAGE_HEADERS, *headers))

    def explain(self, error: Exception) -> Reply:
        """Return the page that says what went wrong."""
        refusal = explain_error(error)
        return self.render("error", status=refusal.status, headers=refusal.headers, message=refusal.message)

    def asset_path(self, name: str) -> str:
        """Return the path of a file that pages refer to; another content has another path."""
        return f"/web/assets/{hashlib.sha256(self._assets[name]).hexdigest()[:16]}-{name}"

    def list_asset_routes(self) -> list[Route]:
        """Return the routes of these files."""
        return [self._build_asset_route(name, content_type) for name, content_type in _ASSETS.items()]

    def _build_asset_route(self, name: str, content_type: str) -> Route:
        reply = Reply(
            HTTPStatus.OK, self._assets[name], content_type=content_type, headers=HARDENING, cache_control=ONE_YEAR
        )

        async def answer(_: Call) -> Reply:
            return reply

        path = self.asset_path(name)
        return Route(path, "GET", answer, anonymous=True, max_body=0, is_page=True, is_unlimited=True)


def redirect(path: str, *headers: tuple[str, str], status: HTTPStatus = HTTPStatus.SEE_OTHER) -> Reply:
    """Send a browser elsewhere.

    Args:
        path: where to; one of ours, or what an application's launch says.
        headers: beside those of every answer.
        status: 303 after a form, 302 otherwise.
    """
    return Reply(int(status), content_type=HTML, headers=(("Location", path), *HARDENING, *headers))


def render_moment(moment: datetime) -> str:
    """Return a point in time as people read it, and in one zone for all."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"
