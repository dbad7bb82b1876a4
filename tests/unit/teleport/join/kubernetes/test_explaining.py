"""What is explained is what the judge decides: both look at the same tokens, and are held against each other."""

import itertools
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from support.clock import FakeClock
from support.jwt_tokens import CLUSTER, ISSUER, NOW, P256, RSA, build_claims, build_jwk, build_jwks, sign
from teleport.errors import JoinRefused
from teleport.join.kubernetes.explaining import (
    Explanation,
    View,
    describe_difference,
    explain_proof,
    guess_api_audiences,
)
from teleport.join.kubernetes.judge import KubernetesJudge
from teleport.join.kubernetes.rules import ServiceAccount
from teleport.join.kubernetes.spec import Rule, parse_spec
from teleport.join.method import JudgeContext, UnverifiedProof
from teleport.kube.access import Verification
from teleport.kube.objects import Pod
from teleport.kube.token_review import ReviewStatus
from teleport.pki.jwt import parse_jwt
from teleport.resources.model import Metadata
from teleport.resources.role import SystemRole
from teleport.resources.token import Token, TokenSpec

API = "https://kubernetes.default.svc.cluster.local"
PREFIX = "authentication.kubernetes.io"
ALLOW = [{"service_account": "apps:web"}, {"service_account_namespace": "team-*", "service_account_name": "agent"}]


def bind(**blocks: Any) -> dict[str, Any]:
    return {"namespace": "apps", "serviceaccount": {"name": "web", "uid": "account-uid"}, **blocks}


def at(**offset: float) -> int:
    return int((NOW + timedelta(**offset)).timestamp())


POD = {"name": "web-0", "uid": "pod-uid"}
CLAIMS: dict[str, dict[str, Any]] = {
    "sound": {},
    "another account": {"sub": "system:serviceaccount:apps:other"},
    "by pattern": {"sub": "system:serviceaccount:team-a:agent"},
    "near a pattern": {"sub": "system:serviceaccount:xteam-a:agent"},
    "of a user": {"sub": "alice"},
    "of no text": {"sub": 7},
    "of five parts": {"sub": "system:serviceaccount:a:b:c"},
    "for the API server": {"aud": [API]},
    "for both": {"aud": [API, CLUSTER]},
    "for somebody else": {"aud": ["vault"]},
    "for nobody": {"aud": []},
    "for a number": {"aud": 7},
    "unbound": {"kubernetes.io": bind()},
    "bound to a node": {"kubernetes.io": bind(node={"name": "node-1", "uid": "node-uid"})},
    "bound to a Secret": {"kubernetes.io": bind(secret={"name": "s", "uid": "secret-uid"})},
    "legacy": {"kubernetes.io": None, "aud": None, "exp": None, "iat": None, "nbf": None},
    "expired": {"exp": at(seconds=-11)},
    "at the edge": {"exp": at(seconds=-10)},
    "too early": {"nbf": at(seconds=11)},
    "issued tomorrow": {"iat": at(days=1)},
    "without an end": {"exp": None},
    "without a start": {"iat": None},
    "for exactly half an hour": {"iat": at(minutes=-1), "exp": at(minutes=29)},
    "a second longer": {"iat": at(minutes=-1), "exp": at(minutes=29, seconds=1)},
    "for a year": {"exp": at(days=365)},
    "of a strange end": {"exp": "soon"},
    "of another issuer": {"iss": "https://elsewhere.example.com"},
    "all wrong": {"sub": "system:serviceaccount:x:y", "aud": ["vault"], "kubernetes.io": bind(), "exp": at(days=2)},
}
STATIC: dict[str, Any] = {"type": "static_jwks", "static_jwks": {"jwks": build_jwks()}}
OTHER_KEYS = {"type": "static_jwks", "static_jwks": {"jwks": build_jwks(build_jwk(P256, kid="hello"))}}
SAME_NAME = {"type": "static_jwks", "static_jwks": {"jwks": build_jwks(build_jwk(RSA, kid="ES256"))}}
SECTIONS: dict[str, dict[str, Any]] = {
    "in_cluster": {},
    "own audience": {"require_own_audience": True},
    "short life": {"max_token_ttl": "30m"},
    "pod verified": {"verify_pod": True},
    "pod bound": {"bind_to_pod": True},
    "static_jwks": STATIC,
    "long life": STATIC | {"max_token_ttl": "8760h"},
    "other keys": OTHER_KEYS,
    "another type of key": SAME_NAME,
    "oidc": {"type": "oidc", "oidc": {"issuer": ISSUER}},
    "another issuer": {"type": "oidc", "oidc": {"issuer": "https://another.example.com"}},
}


class FaithfulKubernetes:
    """A cluster that answers about its own tokens as a kube-apiserver does, row by row of what one was seen to say."""

    verification = Verification.TOKENREVIEW
    own_token = sign(build_claims(aud=[API], sub="system:serviceaccount:teleport:auth"))

    async def review(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        claims = parse_jwt(token).claims
        if not isinstance(claims["sub"], str) or not isinstance(claims.get("aud", []), list):
            return ReviewStatus(error="invalid bearer token")
        common = tuple(each for each in claims.get("aud", [API]) if each in audiences)
        if not common:
            return ReviewStatus(error="token audiences [...] is invalid for the target audiences [...]")
        bound = claims.get("kubernetes.io")
        extra: dict[str, tuple[str, ...]] = {}
        if bound is not None:
            extra[f"{PREFIX}/credential-id"] = ("JTI=0d8a8c0f",)
            extra |= {f"{PREFIX}/pod-{key}": (value,) for key, value in bound.get("pod", {}).items()}
            extra |= {f"{PREFIX}/node-{key}": (value,) for key, value in bound.get("node", {}).items()}
        namespace = claims["sub"].split(":")[2] if ":" in claims["sub"] else ""
        groups = ("system:serviceaccounts", f"system:serviceaccounts:{namespace}", "system:authenticated")
        return ReviewStatus(
            authenticated=True, username=claims["sub"], uid="uid", groups=groups, extra=extra, audiences=common
        )

    async def get_pod(self, _namespace: str, _name: str, *, watched: bool) -> Pod | None:
        assert watched in {False, True}
        return Pod("web-0", "pod-uid", "web", is_terminating=False)

    async def load_cluster_keys(self) -> str:
        return build_jwks()

    async def refresh_cluster_keys(self) -> str:
        return build_jwks()


class PublishedKeys:
    """The keys of an issuer, without a way to it."""

    async def load(self) -> str:
        return build_jwks()

    async def refresh(self) -> str:
        return build_jwks()


def build_resource(section: dict[str, Any]) -> Token:
    spec = TokenSpec(roles=(SystemRole.APP,), join_method="kubernetes", kubernetes={"allow": ALLOW} | section)
    return Token(metadata=Metadata(name="token"), spec=spec)


async def judge(section: dict[str, Any], proof: str, monkeypatch: pytest.MonkeyPatch, mode: Verification) -> str:
    """Return the reason of the judge's refusal, or nothing."""
    kubernetes = FaithfulKubernetes()
    kubernetes.verification = mode
    kube_judge = KubernetesJudge(JudgeContext(CLUSTER, FakeClock(), kubernetes))  # type: ignore[arg-type]  # all that it asks is there
    monkeypatch.setattr(kube_judge, "_find_issuer", lambda *_, **__: PublishedKeys())
    try:
        await kube_judge.judge(build_resource(section), UnverifiedProof(proof, "192.0.2.7", "key"))
    except JoinRefused as refusal:
        return refusal.reason
    return ""


def explain(section: dict[str, Any], proof: str, **view: Any) -> Explanation:
    spec = parse_spec(build_resource(section))
    return explain_proof(spec, View(parse_jwt(proof), CLUSTER, (API,), NOW, **view))


@pytest.mark.parametrize(
    ("section", "claims"), list(itertools.product(SECTIONS, CLAIMS)), ids=lambda name: name.replace(" ", "_")
)
async def test_what_is_explained_is_what_the_judge_decides(
    section: str, claims: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    proof = sign(build_claims(**CLAIMS[claims]))
    explanation = explain(SECTIONS[section], proof)
    reason = await judge(SECTIONS[section], proof, monkeypatch, Verification.TOKENREVIEW)
    told = explanation.findings[0].reason if explanation.findings else ""
    assert told == ("token_malformed" if reason == "not_authenticated" else reason)
    assert bool(explanation.findings) != bool(explanation.rule)
    assert bool(explanation.findings) != bool(explanation.conditions)


@pytest.mark.parametrize("claims", CLAIMS)
async def test_who_is_admitted_where_auth_looks_at_the_keys_itself_is_explained_too(
    claims: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer = CLAIMS[claims].get("iss", ISSUER)
    monkeypatch.setattr(
        FaithfulKubernetes, "own_token", sign(build_claims(aud=[API], iss=issuer, sub="system:serviceaccount:a:b"))
    )
    proof = sign(build_claims(**CLAIMS[claims]))
    reason = await judge({}, proof, monkeypatch, Verification.JWKS)
    assert bool(explain({}, proof).findings) == bool(reason)


def test_every_check_that_fails_is_found_at_once() -> None:
    explanation = explain(OTHER_KEYS, sign(build_claims(**CLAIMS["all wrong"])))
    assert [(each.check, each.reason) for each in explanation.findings] == [
        ("signature", "unknown_key"),
        ("audience", "wrong_audience"),
        ("pod binding", "not_pod_bound"),
        ("life", "token_ttl_too_long"),
        ("rules", "no_rule_matched"),
    ]


def test_the_keys_are_named_where_the_right_one_is_missing() -> None:
    (finding,) = explain(OTHER_KEYS, sign(build_claims())).findings
    assert finding.detail == "the token is signed by key 'RS256', and static_jwks has hello"
    (finding,) = explain(OTHER_KEYS, sign(build_claims(), kid=None)).findings
    assert "an unnamed RS256 key" in finding.detail


def test_a_signature_that_is_not_there_is_not_missed() -> None:
    assert [each.reason for each in explain(STATIC, sign(build_claims(), key=P256)).findings] == ["bad_signature"]
    explanation = explain(STATIC, sign(build_claims(), key=P256), is_signed=False)
    assert "a key of static_jwks has signed it" in explanation.conditions


def test_the_rule_that_admits_is_told_by_its_number() -> None:
    assert explain({}, sign(build_claims())).rule == 1
    assert explain({}, sign(build_claims(**CLAIMS["by pattern"]))).rule == 2


def test_the_nearest_rule_is_told_with_what_differs() -> None:
    far = {"service_account": "a:b", "service_account_name": "c", "service_account_namespace": "*"}
    section = {"allow": [far, ALLOW[1]]}
    (finding,) = explain(section, sign(build_claims(**CLAIMS["near a pattern"]))).findings
    assert "the nearest is rule 2, which differs in service_account_namespace ('team-*', " in finding.detail
    assert "the token says 'xteam-a')" in finding.detail
    rule = Rule(service_account="a:b", service_account_name="b*")
    assert describe_difference(rule, ServiceAccount("a", "b")) == ""


@pytest.mark.parametrize(
    ("section", "claims", "condition"),
    [
        ("in_cluster", "sound", "the API server of auth's cluster vouches for it"),
        ("in_cluster", "for the API server", f"{API!r} is the API server's own audience"),
        ("pod verified", "sound", "pod 'web-0' is there with the UID pod-uid, and neither finished nor ending"),
        ("pod bound", "sound", "pod 'web-0' is there with the UID pod-uid, and neither finished nor ending"),
        ("oidc", "sound", f"a key that {ISSUER} publishes has signed it"),
        ("static_jwks", "sound", "no other key has shown it before"),
    ],
)
def test_what_only_the_join_shows_is_a_condition(section: str, claims: str, condition: str) -> None:
    assert condition in explain(SECTIONS[section], sign(build_claims(**CLAIMS[claims]))).conditions


@pytest.mark.parametrize(
    ("claims", "guess"),
    [
        ({"aud": [API]}, (API,)),
        ({"aud": [ISSUER, "vault"]}, (ISSUER,)),
        ({"aud": ["vault"]}, ()),
        ({"aud": 7}, ()),
        ({"aud": None}, ()),
    ],
)
def test_the_api_server_s_audience_is_guessed_by_its_usual_names(
    claims: dict[str, Any], guess: tuple[str, ...]
) -> None:
    assert guess_api_audiences(build_claims(**claims)) == guess
