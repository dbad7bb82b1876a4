"""The table of routes: found by path and method, never by decoding or by pattern."""

import re
from collections.abc import Iterable
from http import HTTPStatus

from teleport.errors import NotFound
from teleport.web.call import RequestHead, Route
from teleport.web.errors import MalformedRequest

_STAR = "/*"
_PARAMETER = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,127}")


class RouteTable:
    """All that can be asked.

    Args:
        routes: one for each path and method.
    """

    def __init__(self, routes: Iterable[Route]) -> None:
        self._by_path: dict[str, dict[str, Route]] = {}
        for route in routes:
            self._by_path.setdefault(route.path, {})[route.method] = route

    def find(self, head: RequestHead) -> Route:
        """Return the route of a request.

        Raises:
            NotFound: there is no such path.
            MalformedRequest: the path takes another method.
        """
        by_method = self._find_path(head.path)
        if by_method is None:
            raise NotFound("there is no such operation")
        route = by_method.get(head.method)
        if route is None and head.method == "HEAD" and "GET" in by_method and by_method["GET"].is_page:
            route = by_method["GET"]
        if route is None:
            allowed = ", ".join(_list_methods(by_method))
            path = next(iter(by_method.values())).path
            headers = (("Allow", allowed),)
            raise MalformedRequest(f"{path} takes {allowed} only", HTTPStatus.METHOD_NOT_ALLOWED, headers)
        if "?" in head.target and not route.is_page:
            raise NotFound("there is no such operation")
        return route

    def _find_path(self, path: str) -> dict[str, Route] | None:
        exact = self._by_path.get(path)
        if exact is not None and not path.endswith(_STAR):
            return exact
        folder, _, parameter = path.rpartition("/")
        return self._by_path.get(folder + _STAR) if _PARAMETER.fullmatch(parameter) else None


def _list_methods(by_method: dict[str, Route]) -> list[str]:
    methods = list(by_method)
    return [*methods, "HEAD"] if "GET" in by_method and by_method["GET"].is_page else methods
