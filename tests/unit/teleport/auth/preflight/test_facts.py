from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest

from support.clock import START, FakeClock
from support.jwt_tokens import build_claims, build_jwks, sign
from teleport.auth.preflight.facts import PROBE_AUDIENCE, KubeFacts, Right, load_facts, parse_own_token
from teleport.kube.errors import BadAnswer, Forbidden, NoAnswer
from teleport.kube.grants import Account
from teleport.kube.objects import AccessAnswer
from teleport.kube.server_version import ServerVersion
from teleport.kube.token_review import ReviewStatus
from teleport.pki.jwks import JwkSet

VERSION = ServerVersion(1, 34, "v1.34.4")
GET_PODS = Right("get", "pods", namespace="apps")


class FakeApi:
    """An API server that answers everything, unless it has been told of a failure of a question."""

    def __init__(self, **claims: Any) -> None:
        self.clock = FakeClock()
        self.token = sign(build_claims(sub="system:serviceaccount:teleport:auth", **claims))
        self.time: datetime | None = START
        self.way = timedelta()
        """How long a question about the time takes."""
        self.keys = build_jwks()
        self.failures: dict[str, NoAnswer] = {}
        self.asked: list[str] = []
        self.reviewed: tuple[str, ...] = ()

    @property
    def own_token(self) -> str:
        self._ask("own_token")
        return self.token

    async def get_version(self) -> ServerVersion:
        self._ask("version")
        return VERSION

    async def get_time(self) -> datetime | None:
        self._ask("time")
        self.clock.advance(self.way)
        return self.time

    async def review_token(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        self._ask("review")
        assert token == self.token
        self.reviewed = tuple(audiences)
        return ReviewStatus(authenticated=True, audiences=self.reviewed)

    async def get_issuer(self) -> str:
        self._ask("issuer")
        return "https://issuer"

    async def get_jwks(self) -> str:
        self._ask("keys")
        return self.keys

    async def review_own_access(
        self, verb: str, group: str, resource: str, *, namespace: str = "", name: str = ""
    ) -> AccessAnswer:
        self._ask(f"{verb} {resource}")
        return AccessAnswer(allowed=True, reason=f"{verb}|{group}|{resource}|{namespace}|{name}")

    def _ask(self, question: str) -> None:
        self.asked.append(question)
        if question in self.failures:
            raise self.failures[question]


async def load(api: FakeApi) -> KubeFacts:
    return await load_facts(api, url="https://10.0.0.1", clock=api.clock, rights=[GET_PODS])


async def test_everything_is_asked_and_copied() -> None:
    api = FakeApi()
    facts = await load(api)
    assert (facts.url, facts.now, facts.version) == ("https://10.0.0.1", START, VERSION)
    assert facts.answers is not None
    assert facts.answers.issuer == "https://issuer"
    assert isinstance(facts.answers.keys, JwkSet)
    assert facts.answers.rights == {GET_PODS: AccessAnswer(allowed=True, reason="get||pods|apps|")}
    assert facts.answers.review == ReviewStatus(authenticated=True, audiences=("example.com",))


async def test_the_own_token_is_reviewed_for_its_own_audiences() -> None:
    api = FakeApi(aud=["https://kubernetes.default.svc", "k3s"])
    await load(api)
    assert api.reviewed == ("https://kubernetes.default.svc", "k3s")


async def test_an_own_token_without_audience_is_never_reviewed_without_one() -> None:
    api = FakeApi(aud=None)
    await load(api)
    assert api.reviewed == (PROBE_AUDIENCE,)


async def test_an_error_stands_where_the_answer_should_be() -> None:
    api = FakeApi()
    refusal = Forbidden("no")
    api.failures = {"review": refusal, "issuer": refusal, "get pods": refusal, "time": refusal}
    answers = (await load(api)).answers
    assert answers is not None
    assert (answers.review, answers.issuer, answers.rights[GET_PODS]) == (refusal, refusal, refusal)
    assert answers.skew is None


async def test_where_the_api_server_does_not_answer_nothing_else_is_asked() -> None:
    api = FakeApi()
    api.failures = {"version": NoAnswer("down")}
    facts = await load(api)
    assert facts.version is api.failures["version"]
    assert facts.answers is None
    assert api.asked == ["own_token", "version"]


async def test_without_an_own_token_nothing_is_asked() -> None:
    api = FakeApi()
    api.failures = {"own_token": BadAnswer("cannot read the file")}
    facts = await load(api)
    assert facts.own_token is api.failures["own_token"]
    assert api.asked == ["own_token"]


async def test_an_own_token_that_is_no_token_is_told_without_a_word_of_it() -> None:
    api = FakeApi()
    api.token = "an-opaque-text"
    facts = await load(api)
    assert isinstance(facts.own_token, NoAnswer)
    assert "opaque" not in facts.own_token.detail


async def test_keys_that_cannot_be_used_are_as_bad_as_none() -> None:
    api = FakeApi()
    api.keys = '{"keys": []}'
    answers = (await load(api)).answers
    assert answers is not None
    assert isinstance(answers.keys, BadAnswer)


@pytest.mark.parametrize(
    ("there", "way", "skew"),
    [
        (0, 0, 0),
        (-1, 0, 0),  # it tells whole seconds: its clock may be at the end of this one
        (-2, 0, -1),
        (7, 0, 7),
        (7, 3, 4),  # so long may the answer have been under way
        (-7, 3, -6),
    ],
)
async def test_clocks_are_apart_by_no_more_than_what_the_way_does_not_explain(there: int, way: int, skew: int) -> None:
    api = FakeApi()
    api.time, api.way = START + timedelta(seconds=there), timedelta(seconds=way)
    answers = (await load(api)).answers
    assert answers is not None
    assert answers.skew == timedelta(seconds=skew)


def test_what_the_own_token_says_is_read() -> None:
    own = parse_own_token(sign(build_claims(sub="system:serviceaccount:teleport:auth")))
    assert (own.account, own.pod, own.audiences) == (Account("teleport", "auth"), "web-0", ("example.com",))


@pytest.mark.parametrize("bound", [None, "text", {"pod": "text"}, {"secret": {"name": "a"}}])
def test_a_token_that_is_bound_to_no_pod_names_none(bound: object) -> None:
    assert parse_own_token(sign(build_claims(**{"kubernetes.io": bound}))).pod == ""


@pytest.mark.parametrize("subject", ["admin", "system:serviceaccount:a", "system:serviceaccount:a:b; rm -rf /"])
def test_a_subject_that_is_no_service_account_becomes_part_of_no_command(subject: str) -> None:
    assert parse_own_token(sign(build_claims(sub=subject))).account is None
