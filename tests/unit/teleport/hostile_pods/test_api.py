"""Keys that change, and a Kubernetes API that fails; each through the whole join.

`PodJoining.fail` holds what is expected where nobody can decide.
"""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from support.auth import ANONYMOUS, build_host
from support.jwt_tokens import ISSUER, P256, RSA, build_claims, build_jwk, build_jwks, sign
from support.pod_joining import (
    API_AUDIENCE,
    ELSEWHERE,
    KINDS,
    TOKEN_NAME,
    FakeIssuers,
    PodJoining,
    after_now,
    build_proof,
    count_questions,
)
from teleport.api.messages import HeartbeatRequest
from teleport.errors import Unavailable
from teleport.kube.access import Verification
from teleport.kube.errors import BadAnswer, Forbidden, NoAnswer
from teleport.kube.published_keys import REFRESH_PAUSE
from teleport.kube.reviewer import MAX_IN_FLIGHT
from teleport.resources.role import SystemRole


@pytest.mark.parametrize("kind", ["cluster_keys", "oidc"])
async def test_hostile_19_a_token_by_a_new_key_leads_to_one_look_and_joins(issuers: FakeIssuers, kind: str) -> None:
    joining = await PodJoining.start(**KINDS[kind])
    assert (await joining.join(build_proof())).host_id
    joining.api.keys = issuers.published[ISSUER] = build_jwks(build_jwk(RSA), build_jwk(P256, kid="new"))
    renewed = sign(build_claims(jti="2"), algorithm="ES256", kid="new")
    assert (await joining.join(renewed)).host_id
    assert count_questions(joining, issuers) == 2


@pytest.mark.parametrize("kind", ["cluster_keys", "oidc"])
async def test_hostile_19_guesses_at_keys_lead_to_one_look_a_minute_and_stop_nobody(
    issuers: FakeIssuers, kind: str
) -> None:
    joining = await PodJoining.start(**KINDS[kind])
    guesses = iter(range(1000))
    for looks in (2, 3):
        for _ in range(20):
            assert await joining.refuse(sign(build_claims(), kid=f"guess-{next(guesses)}")) == "unknown_key"
        assert count_questions(joining, issuers) == looks
        assert (await joining.join(build_proof(jti=f"sound-{looks}"))).host_id
        joining.auth.clock.advance(REFRESH_PAUSE + timedelta(seconds=1))


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        pytest.param(BadAnswer("the answer is no JSON"), "kubernetes_bad_answer", id="22"),
        pytest.param(Forbidden('User "system:serviceaccount:teleport:auth" cannot'), "kubernetes_forbidden", id="23"),
    ],
)
async def test_hostile_22_23_what_is_auth_s_own_trouble_denies_nobody(failure: NoAnswer, reason: str) -> None:
    joining = await PodJoining.start()
    joining.api.failure = failure
    error = await joining.fail(build_proof())
    (event,) = await joining.auth.list_events("instance.join")
    assert (error.reason, event["reason"], event["message"]) == (reason, reason, failure.detail)
    assert (event["success"], event["attempts"], event["token_name"]) == (False, 1, TOKEN_NAME)
    joining.api.failure = None
    assert (await joining.join(build_proof())).host_id


async def test_hostile_23_a_missing_right_is_told_to_readiness_and_its_return_too() -> None:
    joining = await PodJoining.start()
    joining.api.failure = Forbidden('tokenreviews is forbidden: User "system:serviceaccount:teleport:auth" cannot')
    error = await joining.fail(build_proof())
    assert error.message == Forbidden.PUBLIC
    assert joining.reports[-1] is not None
    assert "kubectl create clusterrolebinding" in joining.reports[-1]
    joining.api.failure = None
    assert (await joining.join(build_proof())).host_id
    assert joining.reports[-1] is None


async def test_hostile_20_attempts_that_cannot_be_decided_are_one_event_a_minute() -> None:
    joining = await PodJoining.start()
    joining.api.failure = BadAnswer("no use")
    for _ in range(5):
        await joining.fail(build_proof())
    await joining.fail(build_proof(), caller=ELSEWHERE)
    joining.auth.clock.advance(timedelta(minutes=1))
    await joining.fail(build_proof())
    events = await joining.auth.list_events("instance.join")
    assert [(event["remote_addr"], event["attempts"]) for event in events] == [
        (ANONYMOUS.remote_addr, 1),
        (ELSEWHERE.remote_addr, 1),
        (ANONYMOUS.remote_addr, 5),
    ]
    assert {use.outcome for use in await joining.auth.list_uses(TOKEN_NAME)} == {"kubernetes_bad_answer"}


async def test_hostile_20_keys_that_are_known_judge_while_the_api_server_is_away() -> None:
    joining = await PodJoining.start(verification=Verification.JWKS)
    assert (await joining.join(build_proof())).host_id
    joining.api.failure = NoAnswer("cannot ask")
    joining.auth.clock.advance(timedelta(minutes=59))
    claims = {name: after_now(minutes=59 + minutes) for name, minutes in (("iat", 0), ("nbf", 0), ("exp", 10))}
    assert (await joining.join(build_proof(jti="2", **claims))).host_id


async def test_hostile_20_a_limited_token_lets_nobody_wait_for_anothers_review() -> None:
    joining = await PodJoining.start()
    await joining.admit(limits={"max_uses": 3})
    gate = joining.api.gate = asyncio.Event()
    waiting = [asyncio.create_task(joining.join(build_proof(jti=str(number)))) for number in range(5)]
    await joining.api.wait_until_asked(5)
    gate.set()
    outcomes = await asyncio.gather(*waiting, return_exceptions=True)
    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 3


@pytest.mark.parametrize("audiences", [(), ("vault",), ("EXAMPLE.COM",)])
async def test_hostile_21_a_yes_for_another_audience_is_refused(audiences: tuple[str, ...]) -> None:
    joining = await PodJoining.start()
    proof = build_proof()
    sound = await joining.api.review_token(proof, ["example.com"])
    joining.api.answers[proof] = replace(sound, audiences=audiences)
    assert await joining.refuse(proof) == "audience_not_confirmed"


async def test_hostile_24_many_joins_share_the_limit_and_heartbeats_do_not_wait() -> None:
    joining = await PodJoining.start()
    gate = joining.api.gate = asyncio.Event()
    waiting = [asyncio.create_task(joining.join(build_proof(jti=str(number)))) for number in range(500)]
    await joining.api.wait_until_asked(MAX_IN_FLIGHT)
    heartbeat = HeartbeatRequest(hostname="app-0", version="1.0.0", servers=())
    assert await joining.auth.heartbeats.announce(heartbeat, build_host(SystemRole.APP))
    assert len(joining.api.asked) == MAX_IN_FLIGHT
    gate.set()
    await asyncio.gather(*waiting)
    assert len(joining.api.asked) == 500
    assert len(await joining.auth.list_events("instance.join")) == 500


async def test_hostile_24_identical_tokens_are_one_question() -> None:
    joining = await PodJoining.start()
    proof = build_proof()
    await asyncio.gather(*(joining.join(proof) for _ in range(100)))
    assert len(joining.api.asked) == 1


async def test_hostile_25_auth_s_own_token_is_read_for_each_join() -> None:
    joining = await PodJoining.start()
    assert (await joining.join(build_proof())).host_id
    joining.api.own_token = sign(build_claims(aud=["k3s"]))
    assert (await joining.join(build_proof(aud=["k3s"], jti="2"))).host_id
    assert joining.api.asked == [("example.com", API_AUDIENCE), ("example.com", "k3s")]


async def test_outside_of_a_cluster_nobody_is_denied() -> None:
    joining = await PodJoining.start()
    joining.auth.joining._judges["kubernetes"]._kubernetes = None  # type: ignore[attr-defined]  # as outside of one
    assert (await joining.fail(build_proof())).reason == "not_in_cluster"


async def test_reasons_are_distinct_from_each_other_and_from_trouble() -> None:
    assert len({error.reason for error in (Unavailable, NoAnswer, BadAnswer, Forbidden)}) == 4
