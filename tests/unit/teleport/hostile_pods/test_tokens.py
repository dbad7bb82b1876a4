"""Hostile ServiceAccount tokens, by their numbers in the project's list; each through the whole join.

`PodJoining.refuse` holds what is expected of every refusal.
"""

import base64
import hashlib
import hmac
import json
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from support.jwt_tokens import ISSUER, P256, RSA, build_claims, encode, sign
from support.pod_joining import (
    API_AUDIENCE,
    KINDS,
    OIDC,
    STATIC,
    FakeIssuers,
    PodJoining,
    after_now,
    build_proof,
    count_questions,
    forge_proof,
)
from teleport.api.joined import generate_keys
from teleport.kube.token_review import ReviewStatus
from teleport.pki.jwt import MAX_KEY_ID, MAX_TOKEN

BLOCK = build_claims()["kubernetes.io"]
END = b'{"iss": "%s", "exp": %%s}' % ISSUER.encode()
PUBLIC_PEM = RSA.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


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
