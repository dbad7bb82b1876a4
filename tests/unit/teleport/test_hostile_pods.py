"""The tokens of pods, hostile or faulty, by their numbers in the project's list; each through the whole join.

`PodJoining.refuse` holds what is expected of every refusal, `PodJoining.fail` what is where nobody can decide.
"""

import asyncio
import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from support.auth import ANONYMOUS, build_host
from support.jwt_tokens import ISSUER, P256, RSA, build_claims, build_jwk, build_jwks, encode, sign
from support.pods import (
    API_AUDIENCE,
    ELSEWHERE,
    OIDC,
    STATIC,
    TOKEN_NAME,
    FakeIssuers,
    PodJoining,
    after_now,
    build_proof,
    forge_proof,
)
from teleport.agent.identity import generate_keys
from teleport.api.messages import HeartbeatRequest
from teleport.errors import Unavailable
from teleport.kube.access import Verification
from teleport.kube.errors import BadAnswer, Forbidden, NoAnswer
from teleport.kube.objects import Pod
from teleport.kube.published_keys import REFRESH_PAUSE
from teleport.kube.reviewer import MAX_IN_FLIGHT
from teleport.kube.token_review import ReviewStatus
from teleport.pki.jwt import MAX_KEY_ID, MAX_TOKEN
from teleport.resources.role import SystemRole

KINDS: dict[str, dict[str, Any]] = {
    "in_cluster": {},
    "cluster_keys": {"verification": Verification.JWKS},
    "static_jwks": STATIC,
    "oidc": OIDC,
}
BLOCK = build_claims()["kubernetes.io"]
POD = Pod("web-0", "pod-uid", "web", is_terminating=False)
END = b'{"iss": "%s", "exp": %%s}' % ISSUER.encode()
PUBLIC_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


@pytest.fixture
def issuers(monkeypatch: pytest.MonkeyPatch) -> FakeIssuers:
    """Who publishes keys outside of the cluster."""
    fake = FakeIssuers()
    monkeypatch.setattr("teleport.kube.openid.fetch_key_set", fake.fetch)
    return fake


@pytest.fixture(params=KINDS)
async def joining(request: pytest.FixtureRequest, issuers: FakeIssuers) -> PodJoining:  # noqa: ARG001 - it is asked
    """A token resource of each kind of proof in turn."""
    return await PodJoining.start(**KINDS[request.param])


def count_questions(joining: PodJoining, issuers: FakeIssuers) -> int:
    """Return how often anybody was asked for anything."""
    return len(joining.api.asked) + joining.api.keys_asked + len(issuers.fetched)


async def test_a_sound_token_joins_by_every_kind_of_proof(joining: PodJoining) -> None:
    assert (await joining.join(build_proof())).host_id


async def test_hostile_01_a_token_by_another_key_is_refused(joining: PodJoining) -> None:
    assert await joining.refuse(forge_proof()) in ("not_authenticated", "bad_signature")
    assert (await joining.join(build_proof())).host_id


async def test_hostile_01_claims_that_were_changed_are_refused(joining: PodJoining) -> None:
    header, _, signature = build_proof().split(".")
    claims = encode(json.dumps(build_claims(sub="system:serviceaccount:kube-system:admin")).encode())
    assert await joining.refuse(f"{header}.{claims}.{signature}") in ("not_authenticated", "bad_signature")


def sign_with_public_key() -> str:
    head = encode(b'{"alg":"HS256","kid":"RS256"}')
    signed = f"{head}.{encode(json.dumps(build_claims()).encode())}"
    return f"{signed}.{encode(hmac.new(PUBLIC_PEM, signed.encode(), hashlib.sha256).digest())}"


def name_algorithm(algorithm: object) -> str:
    _, claims, signature = build_proof().split(".")
    return f"{encode(json.dumps({'alg': algorithm, 'kid': 'RS256'}).encode())}.{claims}.{signature}"


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param(sign_with_public_key(), id="HS256-by-the-public-key"),
        *(pytest.param(name_algorithm(each), id=str(each)) for each in ("none", "None", "NONE", "rs256", "Rs256", "")),
        *(pytest.param(name_algorithm(each), id=str(each)) for each in (None, ["RS256"], 256)),
    ],
)
async def test_hostile_02_another_algorithm_is_refused_before_anybody_is_asked(
    joining: PodJoining, issuers: FakeIssuers, proof: str
) -> None:
    assert await joining.refuse(proof) == "token_algorithm"
    assert count_questions(joining, issuers) == 0


@pytest.mark.parametrize("key_id", ["unknown", "../../key", "/etc/passwd", "' OR 1=1 --", "k" * MAX_KEY_ID])
async def test_hostile_03_a_key_id_that_nobody_knows_is_refused(joining: PodJoining, key_id: str) -> None:
    claims = build_claims()
    assert await joining.refuse(sign(claims, algorithm="ES256", key=P256, kid=key_id)) in (
        "not_authenticated",
        "unknown_key",
    )


async def test_hostile_03_a_long_key_id_is_refused_before_anybody_is_asked(
    joining: PodJoining, issuers: FakeIssuers
) -> None:
    for size in (MAX_KEY_ID + 1, 10_000):
        assert await joining.refuse(sign(build_claims(), kid="k" * size)) == "token_header"
    assert count_questions(joining, issuers) == 0


async def test_hostile_03_a_static_key_set_is_all_that_is_looked_at(issuers: FakeIssuers) -> None:
    joining = await PodJoining.start(**STATIC)
    for number in range(50):
        assert await joining.refuse(sign(build_claims(), kid=f"guess-{number}")) == "unknown_key"
    assert count_questions(joining, issuers) == 0


async def test_hostile_03_19_unknown_keys_lead_to_one_look_at_the_issuer(issuers: FakeIssuers) -> None:
    joining = await PodJoining.start(**OIDC)
    for number in range(50):
        assert await joining.refuse(sign(build_claims(), kid=f"guess-{number}")) == "unknown_key"
    assert issuers.fetched == [ISSUER] * 2


@pytest.mark.parametrize("critical", [[], ["exp"], ["b64"], "exp", None])
async def test_hostile_05_a_token_that_says_how_it_must_be_read_is_refused(
    joining: PodJoining, issuers: FakeIssuers, critical: Any
) -> None:
    header = {"alg": "RS256", "kid": "RS256", "crit": critical}
    _, claims, signature = build_proof().split(".")
    assert await joining.refuse(f"{encode(json.dumps(header).encode())}.{claims}.{signature}") == "token_header"
    assert count_questions(joining, issuers) == 0


@pytest.mark.parametrize(
    ("claim", "seconds", "reason"),
    [
        ("exp", -10, None),
        ("exp", -11, "token_expired"),
        ("nbf", 10, None),
        ("nbf", 11, "token_not_yet_valid"),
        ("iat", 10, None),
        ("iat", 11, "token_issued_in_future"),
    ],
)
async def test_hostile_06_times_hold_up_to_the_edge_of_the_leeway(
    joining: PodJoining, claim: str, seconds: int, reason: str | None
) -> None:
    proof = build_proof(**{claim: after_now(seconds=seconds)})
    if reason is None:
        assert (await joining.join(proof)).host_id
    else:
        assert await joining.refuse(proof) == reason


async def test_hostile_06_a_token_without_an_end_is_refused(joining: PodJoining) -> None:
    assert await joining.refuse(build_proof(exp=None)) == "missing_claim"


async def test_hostile_06_a_yes_of_a_moment_ago_does_not_make_a_token_live_longer() -> None:
    joining = await PodJoining.start()
    keys, proof = generate_keys(), build_proof(exp=after_now(seconds=-5))
    assert (await joining.join(proof, keys=keys)).host_id
    joining.auth.clock.advance(timedelta(seconds=6))
    assert await joining.refuse(proof, keys=keys) == "token_expired"


@pytest.mark.parametrize("kind", ["cluster_keys", "oidc"])
@pytest.mark.parametrize(
    "issuer", ["https://evil.example.com", ISSUER + "/", ISSUER[:-1], ISSUER + ".evil.com", ISSUER.upper(), "", None]
)
async def test_hostile_07_the_issuer_is_compared_as_a_whole(
    issuers: FakeIssuers, kind: str, issuer: str | None
) -> None:
    joining = await PodJoining.start(**KINDS[kind])
    assert await joining.refuse(build_proof(iss=issuer)) == "wrong_issuer"
    assert set(issuers.fetched) <= {ISSUER}


@pytest.mark.parametrize("kind", ["cluster_keys", "oidc"])
@pytest.mark.usefixtures("issuers")
async def test_hostile_07_an_array_of_issuers_is_none(kind: str) -> None:
    joining = await PodJoining.start(**KINDS[kind])
    assert await joining.refuse(build_proof(iss=[ISSUER])) == "wrong_issuer"


@pytest.mark.parametrize(
    "audiences", [["vault"], [], None, ["EXAMPLE.COM"], ["example.com."], ["example.com,vault"], ["example.co"]]
)
async def test_hostile_08_a_token_for_somebody_else_is_refused(
    joining: PodJoining, audiences: list[str] | None
) -> None:
    assert await joining.refuse(build_proof(aud=audiences)) == "wrong_audience"


async def test_hostile_08_one_audience_among_others_is_enough(joining: PodJoining) -> None:
    assert (await joining.join(build_proof(aud=["vault", "example.com"]))).host_id


@pytest.mark.parametrize("kind", ["in_cluster", "cluster_keys"])
async def test_hostile_08_the_api_server_s_own_audience_is_accepted_unless_that_is_excluded(kind: str) -> None:
    joining = await PodJoining.start(**KINDS[kind])
    assert (await joining.join(build_proof(aud=[API_AUDIENCE]))).host_id
    await joining.admit(require_own_audience=True)
    assert await joining.refuse(build_proof(aud=[API_AUDIENCE], jti="another")) == "wrong_audience"


@pytest.mark.parametrize("bound", [{}, {"secret": {"name": "s", "uid": "u"}}, {"node": {"name": "n", "uid": "u"}}])
async def test_hostile_09_a_token_that_is_bound_to_no_pod_is_refused(
    joining: PodJoining, bound: dict[str, Any]
) -> None:
    block = {"namespace": "apps", "serviceaccount": BLOCK["serviceaccount"], **bound}
    assert await joining.refuse(build_proof(**{"kubernetes.io": block})) == "not_pod_bound"


async def test_hostile_09_a_legacy_token_is_refused() -> None:
    joining = await PodJoining.start()
    account = "system:serviceaccount:apps:web"
    proof = build_proof(aud=None, exp=None, iat=None, nbf=None, jti=None, iss="kubernetes/serviceaccount")
    groups = ("system:serviceaccounts", "system:serviceaccounts:apps")
    joining.api.answers[proof] = ReviewStatus(True, account, "uid", groups, {}, (API_AUDIENCE,))
    assert await joining.refuse(proof) == "legacy_token"


@pytest.mark.parametrize("kind", ["static_jwks", "oidc"])
@pytest.mark.usefixtures("issuers")
async def test_hostile_10_a_token_of_a_year_is_refused_where_a_signature_is_all_there_is(kind: str) -> None:
    joining = await PodJoining.start(**KINDS[kind])
    assert await joining.refuse(build_proof(exp=after_now(days=365))) == "token_ttl_too_long"


async def test_hostile_10_the_bound_of_the_token_resource_is_exact(joining: PodJoining) -> None:
    await joining.admit(**joining.section, max_token_ttl="1h")
    begin = after_now(minutes=-1)
    assert (await joining.join(build_proof(iat=begin, exp=begin + 3600))).host_id
    assert await joining.refuse(build_proof(iat=begin, exp=begin + 3601, jti="2")) == "token_ttl_too_long"
    assert await joining.refuse(build_proof(iat=None, jti="3")) == "missing_claim"


async def test_hostile_10_in_the_cluster_a_year_is_usual() -> None:
    joining = await PodJoining.start()
    assert (await joining.join(build_proof(exp=after_now(days=365)))).host_id


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda api: api.pods.clear(), "pod_gone", id="11-gone"),
        pytest.param(
            lambda api: api.pods.update({"apps/web-0": replace(POD, is_terminating=True)}),
            "pod_terminating",
            id="11-ending",
        ),
        pytest.param(
            lambda api: api.pods.update({"apps/web-0": replace(POD, uid="another")}), "pod_uid_mismatch", id="12-anew"
        ),
    ],
)
async def test_hostile_11_12_a_look_at_the_pod_finds_what_the_last_yes_does_not_know(
    change: Callable[[Any], None], reason: str
) -> None:
    joining = await PodJoining.start(verify_pod=True)
    keys, proof = generate_keys(), build_proof()
    assert (await joining.join(proof, keys=keys)).host_id
    change(joining.api)
    assert await joining.refuse(proof, keys=keys) == reason
    assert len(joining.api.asked) == 1


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        pytest.param(lambda api: api.pods.clear(), "pod_gone", id="11"),
        pytest.param(
            lambda api: api.pods.update({"apps/web-0": replace(POD, uid="another")}), "pod_uid_mismatch", id="12"
        ),
        pytest.param(lambda api: api.accounts.clear(), "service_account_gone", id="13-gone"),
        pytest.param(
            lambda api: api.accounts.update({"apps:web": "another"}), "service_account_recreated", id="13-anew"
        ),
    ],
)
async def test_hostile_11_12_13_what_the_api_server_says_is_in_the_audit_log(
    change: Callable[[Any], None], reason: str
) -> None:
    joining = await PodJoining.start()
    change(joining.api)
    assert await joining.refuse(build_proof()) == reason
    message = (await joining.auth.last_event())["message"]
    assert message.startswith("Kubernetes refused the token: [invalid bearer token, ")


@pytest.mark.parametrize(
    ("username", "reason"),
    [
        ("eve@example.com", "not_a_service_account"),
        ("system:node:node-1", "not_a_service_account"),
        ("apps:web", "not_a_service_account"),
        ("system:serviceaccount:apps:web:x", "malformed_service_account"),
        ("system:serviceaccount:\u0430pps:web", "malformed_service_account"),
        ("system:serviceaccount:apps\u200b:web", "malformed_service_account"),
        ("system:serviceaccount:apps:web\n", "malformed_service_account"),
    ],
)
async def test_hostile_14_whoever_is_no_service_account_is_refused(
    joining: PodJoining, username: str, reason: str
) -> None:
    assert await joining.refuse(build_proof(sub=username)) == reason


@pytest.mark.parametrize(
    ("rule", "namespace"),
    [
        ({"service_account": "ns:web"}, "ns-evil"),
        ({"service_account_namespace": "ns"}, "ns-evil"),
        ({"service_account_namespace": "ns"}, "evil-ns"),
        ({"service_account_namespace": "ns?"}, "ns"),
        ({"service_account_namespace": "ns?"}, "ns-evil"),
        ({"service_account_namespace": "n.s"}, "nas"),
        ({"service_account_namespace": "ns**-x"}, "ns"),
    ],
)
async def test_hostile_15_only_what_a_rule_says_is_admitted(rule: dict[str, str], namespace: str) -> None:
    joining = await PodJoining.start(**STATIC, allow=[rule])
    assert await joining.refuse(build_proof(sub=f"system:serviceaccount:{namespace}:web")) == "no_rule_matched"


async def test_hostile_16_another_key_from_elsewhere_is_a_replay(joining: PodJoining) -> None:
    keys, proof = generate_keys(), build_proof()
    assert (await joining.join(proof, keys=keys)).host_id
    assert await joining.refuse(proof, caller=ELSEWHERE) == "token_replayed"
    event = await joining.auth.last_event()
    assert ANONYMOUS.remote_addr in event["message"]
    assert event["attributes"]["pod"] == "web-0"


async def test_hostile_16_the_same_key_may_ask_again_from_anywhere(joining: PodJoining) -> None:
    keys, proof = generate_keys(), build_proof()
    assert (await joining.join(proof, keys=keys)).host_id
    assert (await joining.join(proof, keys=keys, caller=ELSEWHERE)).host_id
    assert "proof_reused" not in await joining.auth.last_event()


async def test_hostile_16_another_key_from_the_same_address_is_let_in_and_told_of(joining: PodJoining) -> None:
    proof = build_proof()
    assert (await joining.join(proof)).host_id
    assert (await joining.join(proof)).host_id
    assert (await joining.auth.last_event())["proof_reused"] is True


async def test_hostile_16_where_that_is_asked_for_the_same_address_is_a_replay_too() -> None:
    joining = await PodJoining.start(on_token_reuse="refuse")
    proof = build_proof()
    assert (await joining.join(proof)).host_id
    assert await joining.refuse(proof) == "token_replayed"


async def test_hostile_16_of_two_keys_at_once_from_two_places_one_joins(joining: PodJoining) -> None:
    proof = build_proof()
    outcomes = await asyncio.gather(
        *(joining.join(proof, caller=caller) for caller in (ANONYMOUS, ELSEWHERE)), return_exceptions=True
    )
    assert sum(not isinstance(outcome, Exception) for outcome in outcomes) == 1
    events = await joining.auth.list_events("instance.join")
    assert sorted(event.get("reason", "success") for event in events) == ["success", "token_replayed"]


async def test_hostile_16_a_token_without_an_id_is_known_by_its_bytes(joining: PodJoining) -> None:
    proof = build_proof(jti=None)
    assert (await joining.join(proof)).host_id
    assert await joining.refuse(proof, caller=ELSEWHERE) == "token_replayed"
    assert (await joining.join(build_proof(jti=None, nbf=None), caller=ELSEWHERE)).host_id


@pytest.mark.parametrize(
    "body",
    [
        pytest.param(END % b'1, "exp": 2', id="twice"),
        pytest.param(END % b"9223372036854775808", id="2-63"),
        pytest.param(END % b"1e400", id="huge"),
        pytest.param(END % b"1.5", id="float"),
        pytest.param(END % b"NaN", id="nan"),
        pytest.param(END % b"-1", id="negative"),
        pytest.param(END % b'"1"', id="text"),
        pytest.param(END % b"true", id="bool"),
        pytest.param(b'{"a":' * 3000 + b"1" + b"}" * 3000, id="deep"),
        pytest.param(b"[" * 10_000, id="deeper"),
        pytest.param(b"[]", id="list"),
        pytest.param(b"\xff", id="no-utf8"),
    ],
)
async def test_hostile_17_claims_that_no_api_server_writes_are_refused(joining: PodJoining, body: bytes) -> None:
    assert await joining.refuse(sign(body)) == "token_malformed"
    assert joining.api.asked == []
    assert (await joining.join(build_proof())).host_id


async def test_hostile_17_a_token_that_is_too_long_is_refused_unread(joining: PodJoining) -> None:
    assert await joining.refuse("a" * (MAX_TOKEN + 1)) == "token_malformed"
    assert await joining.refuse(build_proof(pad="x" * MAX_TOKEN)) == "token_malformed"


SOUND = build_proof()


@pytest.mark.parametrize(
    "proof",
    [
        pytest.param(SOUND + "=", id="padding"),
        pytest.param(SOUND + "\n", id="newline"),
        pytest.param(" " + SOUND, id="space"),
        pytest.param(SOUND[:40] + "\t" + SOUND[40:], id="tab"),
        pytest.param(SOUND.replace(".", "..", 1), id="empty-part"),
        pytest.param(SOUND[:-1] + chr(ord(SOUND[-1]) + 1), id="last-bits"),
        pytest.param(SOUND.replace("J", "+", 1), id="other-alphabet"),
        pytest.param(base64.b64encode(SOUND.encode()).decode(), id="encoded-twice"),
    ],
)
async def test_hostile_18_only_the_one_canonical_form_is_read(
    joining: PodJoining, issuers: FakeIssuers, proof: str
) -> None:
    assert await joining.refuse(proof) == "token_malformed"
    assert count_questions(joining, issuers) == 0


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
