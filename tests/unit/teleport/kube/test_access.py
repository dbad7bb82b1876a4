"""What becomes of the right to ask: reported while it is missing, logged once, and never confused between questions."""

import logging
from collections.abc import Sequence

import pytest

from support.clock import FakeClock
from support.pod_cluster import POD, PodCluster
from teleport.kube.access import CALM, FORGET, KubernetesAccess
from teleport.kube.errors import Forbidden, NoAnswer
from teleport.kube.published_keys import FAILURE_PAUSE, REFRESH_PAUSE
from teleport.kube.token_review import ReviewStatus


class FakeApi(PodCluster):
    """Answers, unless it has been told of a failure."""

    def __init__(self) -> None:
        super().__init__()
        self.own_token = "own"
        self.keys = 0
        self.reviewed: list[str] = []
        self.is_closed = False

    async def review_token(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        self._fail()
        self.reviewed.append(token)
        return ReviewStatus(authenticated=True, username=token, audiences=tuple(audiences))

    async def get_jwks(self) -> str:
        self._fail()
        self.keys += 1
        return f"keys {self.keys}"

    async def close(self) -> None:
        self.is_closed = True


class Asking:
    """Asks, and writes down what is reported."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.clock = FakeClock()
        self.reports: list[str | None] = []
        self.access = KubernetesAccess(api=self.api, clock=self.clock, report=self.reports.append)


def forbid(resource: str) -> Forbidden:
    return Forbidden(f'{resource} is forbidden: User "system:serviceaccount:teleport:auth" cannot')


async def test_what_is_asked_is_answered() -> None:
    asking = Asking()
    assert (await asking.access.review("a", ("example.com",))).username == "a"
    assert await asking.access.get_pod("apps", "web-0") is POD
    assert await asking.access.get_pod("apps", "other") is None
    assert asking.reports == []


async def test_hostile_23_a_missing_right_is_reported_with_the_command_that_grants_it() -> None:
    asking = Asking()
    asking.api.failure = forbid("tokenreviews")
    with pytest.raises(Forbidden):
        await asking.access.review("a", ("example.com",))
    (report,) = asking.reports
    assert report is not None
    assert "tokenreviews is forbidden" in report
    assert report.endswith("--clusterrole=system:auth-delegator --serviceaccount=teleport:auth")


async def test_hostile_23_a_missing_right_is_reported_once_however_many_ask_in_vain() -> None:
    asking = Asking()
    for resource in ("tokenreviews", "tokenreviews", "others", "others"):
        asking.api.failure = forbid(resource)
        with pytest.raises(Forbidden):
            await asking.access.review("a", ("example.com",))
    assert len(asking.reports) == 2


async def test_hostile_23_when_the_right_is_back_all_is_well_again() -> None:
    asking = Asking()
    asking.api.failure = forbid("tokenreviews")
    with pytest.raises(Forbidden):
        await asking.access.review("a", ("example.com",))
    asking.api.failure = None
    await asking.access.review("a", ("example.com",))
    assert asking.reports[-1] is None


async def test_hostile_23_what_is_missing_is_reported_once_however_often_it_is_asked_for() -> None:
    asking = Asking()
    asking.api.failure = forbid("tokenreviews")
    for _ in range(100):
        with pytest.raises(Forbidden):
            await asking.access.review("a", ("example.com",))
    assert len(asking.reports) == 1


async def test_hostile_23_a_right_that_is_back_shows_although_nobody_comes() -> None:
    asking = Asking()
    asking.api.failure = forbid("what was asked")
    with pytest.raises(Forbidden):
        await asking.access.review("stranger", ("example.com",))
    with pytest.raises(Forbidden):
        await asking.access.get_pod("apps", "web-0")
    await asking.access.look_again()
    assert None not in asking.reports
    asking.api.failure = None
    await asking.access.look_again()
    assert asking.reports[-1] is None
    assert asking.api.reviewed == ["own"]


async def test_hostile_23_an_answer_from_before_does_not_say_that_a_right_is_back() -> None:
    asking = Asking()
    await asking.access.review("a", ("example.com",))
    asking.api.failure = forbid("tokenreviews")
    with pytest.raises(Forbidden):
        await asking.access.review("b", ("example.com",))
    await asking.access.review("a", ("example.com",))
    assert None not in asking.reports


async def test_where_nothing_is_missing_nothing_is_asked_again() -> None:
    asking = Asking()
    asking.api.failure = NoAnswer("down")
    with pytest.raises(NoAnswer):
        await asking.access.review("a", ("example.com",))
    asking.api.failure = None
    await asking.access.look_again()
    assert asking.api.reviewed == []


async def test_hostile_23_an_answer_of_another_kind_does_not_hide_what_is_missing() -> None:
    asking = Asking()
    asking.api.failure = forbid("pods")
    with pytest.raises(Forbidden):
        await asking.access.get_pod("apps", "web-0")
    asking.api.failure = None
    await asking.access.review("a", ("example.com",))
    assert asking.reports[-1] is not None
    assert "--verb=get --resource=pods" in asking.reports[-1]


async def test_a_right_in_one_namespace_does_not_hide_that_it_is_missing_in_another() -> None:
    asking = Asking()
    asking.api.failure = forbid("pods")
    with pytest.raises(Forbidden):
        await asking.access.get_pod("apps", "web-0")
    asking.api.failure = None
    asking.api.namespaces = ("others",)
    await asking.access.get_pod("others", "web-0")
    assert None not in asking.reports


async def test_a_right_in_a_namespace_that_no_pod_needs_any_more_is_not_missed_for_ever() -> None:
    asking = Asking()
    asking.api.failure = forbid("what was asked")
    with pytest.raises(Forbidden):
        await asking.access.review("stranger", ("example.com",))
    with pytest.raises(Forbidden):
        await asking.access.get_pod("apps", "web-0")
    for _ in range(2):
        asking.clock.advance(FORGET)
        await asking.access.look_again()
    assert asking.reports[-1] is not None
    assert "--verb=get --resource=pods" not in asking.reports[-1]
    assert "system:auth-delegator" in asking.reports[-1]


async def test_hostile_20_an_api_that_is_down_is_logged_once_and_its_return_too(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    asking = Asking()
    asking.api.failure = NoAnswer("cannot ask https://10.0.0.1: no answer in time")
    for _ in range(3):
        with pytest.raises(NoAnswer):
            await asking.access.get_pod("apps", "web-0")
    asking.api.failure = None
    asking.clock.advance(CALM)
    for _ in range(3):
        await asking.access.get_pod("apps", "web-0")
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]
    assert "https://10.0.0.1" in caplog.text
    assert asking.reports == []


async def test_hostile_20_an_api_that_answers_now_and_then_does_not_fill_the_log(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO)
    asking = Asking()
    for number in range(100):
        asking.api.failure = NoAnswer(f"busy, {number % 2}")
        with pytest.raises(NoAnswer):
            await asking.access.get_pod("apps", "web-0")
        asking.api.failure = None
        await asking.access.get_pod("apps", "web-0")
        asking.clock.advance(CALM / 100)
    assert [record.levelname for record in caplog.records] == ["WARNING"]
    asking.clock.advance(CALM)
    await asking.access.get_pod("apps", "web-0")
    assert [record.levelname for record in caplog.records] == ["WARNING", "INFO"]


async def test_the_cluster_s_keys_are_kept_and_looked_at_anew_where_one_is_unknown() -> None:
    asking = Asking()
    assert {await asking.access.load_cluster_keys() for _ in range(100)} == {"keys 1"}
    assert {await asking.access.refresh_cluster_keys() for _ in range(100)} == {"keys 2"}
    asking.clock.advance(2 * REFRESH_PAUSE)
    assert {await asking.access.refresh_cluster_keys() for _ in range(100)} == {"keys 3"}


async def test_hostile_23_the_right_to_read_the_keys_is_reported_too() -> None:
    asking = Asking()
    asking.api.failure = forbid("nonresourceurls")
    with pytest.raises(Forbidden):
        await asking.access.load_cluster_keys()
    assert asking.reports[-1] is not None
    assert "--clusterrole=system:service-account-issuer-discovery" in asking.reports[-1]


async def test_hostile_23_the_missing_right_to_read_the_keys_is_reported_too() -> None:
    asking = Asking()
    asking.api.failure = forbid("jwks")
    with pytest.raises(Forbidden):
        await asking.access.load_cluster_keys()
    assert asking.reports[-1] is not None
    assert "--clusterrole=system:service-account-issuer-discovery" in asking.reports[-1]
    asking.api.failure = None
    asking.clock.advance(2 * FAILURE_PAUSE)
    await asking.access.load_cluster_keys()
    assert asking.reports[-1] is None


async def test_the_client_is_closed_with_it() -> None:
    asking = Asking()
    await asking.access.close()
    assert asking.api.is_closed
    assert asking.access.own_token == "own"
