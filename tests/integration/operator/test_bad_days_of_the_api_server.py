"""An API server that forgets, sends away, or breaks off: the operator catches up, and is not started anew for it."""

from collections.abc import Iterator

import pytest

from support.cluster import AuthServer
from support.kube_apiserver import KubeApiServer
from support.kube_proxy import KubeProxy, running_proxy
from support.operator_cluster import Objects, Operator, OperatorFactory, find_token
from support.operator_specs import build_spec
from support.processes import wait_until


@pytest.fixture
def proxy(kubernetes: KubeApiServer) -> Iterator[KubeProxy]:
    """A way to the API server that a test can disturb."""
    with running_proxy(kubernetes) as running:
        yield running


@pytest.fixture
def operator(make_operator: OperatorFactory, proxy: KubeProxy, objects: Objects, name: str) -> Iterator[Operator]:
    """An operator that goes through it, follows objects, and lives until the end of the test."""
    running = make_operator(api_url=proxy.url).start()
    objects.apply(f"{name}-before", build_spec())
    objects.wait_for(f"{name}-before", "Synced")
    wait_until(lambda: proxy.watches, "the operator watches")
    pid = running.process.pid
    yield running
    assert running.process.is_alive()
    assert running.process.pid == pid
    assert running.process.stop() == 0


def assert_follows(objects: Objects, name: str) -> None:
    """See an object become a token, and go again."""
    objects.apply(name, build_spec())
    objects.wait_for(name, "Synced")
    objects.delete(name)
    objects.wait_until_gone(name)


@pytest.mark.usefixtures("operator")
def test_a_watch_that_begins_too_long_ago_begins_anew(
    objects: Objects, auth: AuthServer, proxy: KubeProxy, name: str
) -> None:
    with proxy.without_watches():
        objects.apply(name, build_spec())
        objects.delete(f"{name}-before")
        proxy.outdate_next_watch()
    wait_until(lambda: proxy.expired, "the API server says 410")
    before = proxy.watches
    wait_until(lambda: proxy.watches > before, "the operator watches again")
    objects.wait_for(name, "Synced")
    objects.wait_until_gone(f"{name}-before")
    assert find_token(auth, f"{name}-before") is None
    assert_follows(objects, f"{name}-after")


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("code", [429, 500, 504])
def test_a_watch_that_ends_with_an_error_begins_anew(objects: Objects, proxy: KubeProxy, name: str, code: int) -> None:
    proxy.end_next_watch(code)
    proxy.cut_watches()
    wait_until(lambda: proxy.broken, "the watch breaks")
    before = proxy.watches
    wait_until(lambda: proxy.watches > before, "the operator watches again")
    assert_follows(objects, name)


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("method", ["GET", "PATCH"])
def test_an_api_server_that_sends_everybody_away_is_left_alone_for_as_long_as_it_asks(
    objects: Objects, proxy: KubeProxy, name: str, method: str, status: int
) -> None:
    with proxy.sending_away(method, status, 2):
        if method == "GET":
            proxy.cut_watches()
        objects.apply(name, build_spec())
        wait_until(lambda: proxy.sent_away >= 3, "the operator is sent away again and again")
        assert objects.find_condition(name)["reason"] == "Pending"
    objects.wait_for(name, "Synced")
    assert proxy.impatient == 0
    assert_follows(objects, f"{name}-after")


@pytest.mark.usefixtures("auth")
def test_a_cluster_that_does_not_say_what_it_has_is_asked_again_and_readiness_says_why(
    make_operator: OperatorFactory, proxy: KubeProxy, objects: Objects, name: str
) -> None:
    proxy.refuse("/apis", 415)
    operator = make_operator(api_url=proxy.url)
    operator.launch()
    operator.process.wait_for_status(503)
    wait_until(lambda: "415 to GET /apis" in operator.process.fetch("/readyz")[1], "readiness names the refusal")
    pid = operator.process.pid
    proxy.refuse("", 0)
    operator.process.wait_for_status(200)
    assert_follows(objects, name)
    assert operator.process.pid == pid
    assert operator.process.stop() == 0
