from http import HTTPStatus

import pytest

from teleport.errors import NotFound
from teleport.web.call import Call, Reply, RequestHead, Route
from teleport.web.errors import MalformedRequest
from teleport.web.routes import RouteTable


async def answer(_: Call) -> Reply:
    return Reply(200)


API = Route("/v1/join", "POST", answer, anonymous=True, max_body=1)
PAGE = Route("/web", "GET", answer, anonymous=True, max_body=0, is_page=True)
FORM = Route("/web", "POST", answer, anonymous=True, max_body=1)
INVITE = Route("/web/invite/*", "GET", answer, anonymous=True, max_body=0, is_page=True)
PLAIN = Route("/v1/trust", "GET", answer, anonymous=True, max_body=0)
TABLE = RouteTable([API, PAGE, FORM, INVITE, PLAIN])


def find(method: str, target: str) -> Route:
    return TABLE.find(RequestHead(method, target, {}))


@pytest.mark.parametrize(
    ("method", "target", "route"),
    [
        ("POST", "/v1/join", API),
        ("GET", "/web", PAGE),
        ("HEAD", "/web?x=1", PAGE),
        ("POST", "/web", FORM),
        ("GET", "/web/invite/Ab-_9.x", INVITE),
        ("GET", "/web/invite/" + "a" * 128, INVITE),
        ("GET", "/v1/trust", PLAIN),
    ],
)
def test_a_route_is_found_by_path_and_method(method: str, target: str, route: Route) -> None:
    assert find(method, target) is route


@pytest.mark.parametrize(
    "target",
    [
        "/",
        "/v1/join?x=1",
        "/v1/trust?",
        "/v1/join/",
        "/web/invite",
        "/web/invite/",
        "/web/invite/*",
        "/web/invite/a/b",
        "/web/invite/..",
        "/web/invite/.hidden",
        "/web/invite/%2e%2e",
        "/web/invite/a%00",
        "/web/invite/" + "a" * 129,
        "//web",
        "http://proxy/web",
        "*",
    ],
)
def test_what_is_not_exactly_a_path_is_not_found(target: str) -> None:
    with pytest.raises(NotFound):
        find("POST" if target.startswith("/v1/join") else "GET", target)


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("GET", "/v1/join", "POST"),
        ("HEAD", "/v1/trust", "GET"),
        ("PUT", "/web", "GET, POST, HEAD"),
        ("POST", "/web/invite/x", "GET, HEAD"),
    ],
)
def test_another_method_is_told_which_ones_there_are(method: str, target: str, allowed: str) -> None:
    with pytest.raises(MalformedRequest) as refusal:
        find(method, target)
    assert (refusal.value.status, refusal.value.headers) == (HTTPStatus.METHOD_NOT_ALLOWED, (("Allow", allowed),))
    assert "invite/x" not in refusal.value.message
