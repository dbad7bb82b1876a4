"""How the three kinds of proof are judged, with an API that a test steers."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

import pytest

from support.clock import FakeClock
from support.jwt_tokens import CLUSTER, ISSUER, NOW, P256, RSA, build_claims, build_jwk, build_jwks, sign
from teleport.errors import JoinRefused, Unavailable
from teleport.join.kubernetes.judge import MAX_ISSUERS, KubernetesJudge
from teleport.join.method import JudgeContext, UnverifiedProof, VerifiedIdentity
from teleport.kube.access import Verification
from teleport.kube.objects import Pod
from teleport.kube.token_review import ReviewStatus
from teleport.resources.model import Metadata
from teleport.resources.role import SystemRole
from teleport.resources.token import Token, TokenSpec

DEFAULT = "https://kubernetes.default.svc.cluster.local"
PREFIX = "authentication.kubernetes.io"


class FakeKubernetes:
    """A cluster that vouches for what it is told."""

    def __init__(self, verification: Verification = Verification.TOKENREVIEW) -> None:
        self.verification = verification
        self.own_token = sign(build_claims(aud=[DEFAULT], iss=ISSUER, sub="system:serviceaccount:teleport:auth"))
        self.asked: list[tuple[str, ...]] = []
        self.answers: dict[str, ReviewStatus] = {}
        self.pod: Pod | None = Pod("web-0", "pod-uid", "web", is_terminating=False)
        self.keys = self.published = build_jwks()

    def vouch_for(self, token: str, *audiences: str) -> None:
        self.answers[token] = ReviewStatus(
            authenticated=True,
            username="system:serviceaccount:apps:web",
            groups=("system:serviceaccounts", "system:serviceaccounts:apps"),
            extra={f"{PREFIX}/pod-name": ("web-0",), f"{PREFIX}/pod-uid": ("pod-uid",)},
            audiences=audiences or (CLUSTER,),
        )

    async def review(self, token: str, audiences: Sequence[str]) -> ReviewStatus:
        self.asked.append(tuple(audiences))
        return self.answers.get(token, ReviewStatus(error="invalid bearer token"))

    async def get_pod(self, namespace: str, name: str, *, watched: bool) -> Pod | None:
        assert watched in {False, True}
        assert (namespace, name) == ("apps", "web-0")
        return self.pod

    async def load_cluster_keys(self) -> str:
        return self.keys

    async def refresh_cluster_keys(self) -> str:
        self.keys = self.published
        return self.keys


class Judging:
    """A judge and its cluster."""

    def __init__(self, kubernetes: FakeKubernetes | None = None) -> None:
        self.kubernetes = kubernetes
        context = JudgeContext(CLUSTER, FakeClock(), kubernetes)  # type: ignore[arg-type]  # all that it asks is there
        self.judge = KubernetesJudge(context)

    async def ask(self, proof: str, **section: Any) -> VerifiedIdentity:
        full = {"allow": [{"service_account": "apps:web"}], **section}
        spec = TokenSpec(roles=(SystemRole.APP,), join_method="kubernetes", kubernetes=full)
        token = Token(metadata=Metadata(name="token"), spec=spec)
        self.judge.check_token(token)
        return await self.judge.judge(token, UnverifiedProof(proof, "192.0.2.7", "key"))

    async def refuse(self, proof: str, **section: Any) -> str:
        with pytest.raises(JoinRefused) as refusal:
            await self.ask(proof, **section)
        assert proof not in refusal.value.detail
        return refusal.value.reason


STATIC = {"type": "static_jwks", "static_jwks": {"jwks": build_jwks()}}


async def test_what_the_api_server_vouches_for_is_who_asks() -> None:
    judging = Judging(kubernetes := FakeKubernetes())
    kubernetes.vouch_for(proof := sign(build_claims()))
    identity = await judging.ask(proof)
    assert identity.subject == "system:serviceaccount:apps:web"
    assert identity.attributes["pod"] == "web-0"
    assert identity.use is not None
    assert identity.use.same_address_may_reuse
    assert proof not in repr(identity)


async def test_rev_009_both_audiences_are_asked_and_each_once() -> None:
    judging = Judging(kubernetes := FakeKubernetes())
    kubernetes.own_token = sign(build_claims(aud=[CLUSTER, DEFAULT]))
    await judging.refuse(sign(build_claims()))
    assert kubernetes.asked == [(CLUSTER, DEFAULT)]


async def test_where_the_own_audience_is_required_the_cluster_s_name_is_asked_alone() -> None:
    judging = Judging(kubernetes := FakeKubernetes())
    await judging.refuse(sign(build_claims()), require_own_audience=True)
    assert kubernetes.asked == [(CLUSTER,)]


async def test_where_auth_s_own_token_has_no_audience_the_cluster_s_name_is_asked_alone() -> None:
    judging = Judging(kubernetes := FakeKubernetes())
    kubernetes.own_token = sign(build_claims(aud=None))
    await judging.refuse(sign(build_claims()))
    assert kubernetes.asked == [(CLUSTER,)]


async def test_aud_004_an_own_token_that_is_none_is_auth_s_trouble_and_nobody_is_denied() -> None:
    judging = Judging(kubernetes := FakeKubernetes())
    kubernetes.own_token = "asdfghjkl"
    with pytest.raises(Unavailable):
        await judging.ask(sign(build_claims()))


async def test_outside_a_cluster_nobody_can_be_judged_and_nobody_is_denied() -> None:
    with pytest.raises(Unavailable, match=r"auth_service\.kubernetes"):
        await Judging().ask(sign(build_claims()))


async def test_hostile_06_an_expired_token_is_refused_before_anybody_is_asked() -> None:
    judging = Judging(kubernetes := FakeKubernetes())
    past = int((NOW - timedelta(seconds=11)).timestamp())
    assert await judging.refuse(sign(build_claims(exp=past))) == "token_expired"
    assert kubernetes.asked == []


async def test_hostile_06_a_token_without_an_end_is_refused_even_if_it_is_vouched_for() -> None:
    judging = Judging(kubernetes := FakeKubernetes())
    kubernetes.vouch_for(proof := sign(build_claims(exp=None)))
    assert await judging.refuse(proof) == "missing_claim"


async def test_hostile_10_the_life_of_a_token_in_the_cluster_is_bounded_where_that_is_asked_for() -> None:
    judging = Judging(kubernetes := FakeKubernetes())
    year = int((NOW + timedelta(days=365)).timestamp())
    kubernetes.vouch_for(proof := sign(build_claims(exp=year)))
    assert (await judging.ask(proof)).subject
    assert await judging.refuse(proof, max_token_ttl="1h") == "token_ttl_too_long"


@pytest.mark.parametrize(
    ("pod", "reason"),
    [
        (None, "pod_gone"),
        (Pod("web-0", "another", "web", is_terminating=False), "pod_uid_mismatch"),
        (Pod("web-0", "pod-uid", "web", is_terminating=True), "pod_terminating"),
        (Pod("web-0", "pod-uid", "web", is_terminating=False, phase="Failed"), "pod_finished"),
    ],
)
@pytest.mark.parametrize("field", ["verify_pod", "bind_to_pod"])
async def test_hostile_11_12_the_pod_itself_is_looked_at_where_that_is_asked_for(
    pod: Pod | None, reason: str, field: str
) -> None:
    judging = Judging(kubernetes := FakeKubernetes())
    kubernetes.vouch_for(proof := sign(build_claims()))
    identity = await judging.ask(proof, **{field: True})
    assert (identity.bound_to is not None) == (field == "bind_to_pod")
    kubernetes.pod = pod
    assert (await judging.ask(proof)).subject
    assert await judging.refuse(proof, **{field: True}) == reason


async def test_a_refusal_by_the_rules_names_the_nearest_one() -> None:
    judging = Judging(kubernetes := FakeKubernetes())
    kubernetes.vouch_for(proof := sign(build_claims()))
    with pytest.raises(JoinRefused, match="token") as refusal:
        await judging.ask(proof, allow=[{"service_account": "apps:db"}, {"service_account": "other:web"}])
    assert refusal.value.reason == "no_rule_matched"
    assert "apps:db" in refusal.value.detail


async def test_a_static_key_set_vouches_and_nobody_is_asked() -> None:
    identity = await Judging().ask(sign(build_claims()), **STATIC)
    assert identity.attributes["pod_uid"] == "pod-uid"


async def test_static_keys_do_not_look_at_the_issuer() -> None:
    assert (await Judging().ask(sign(build_claims(iss="anybody")), **STATIC)).subject


KUBERNETES = build_claims()["kubernetes.io"]


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        pytest.param({"kubernetes.io": {**KUBERNETES, "pod": None}}, "not_pod_bound", id="jwks-002"),
        pytest.param({"kubernetes.io": None}, "not_pod_bound", id="no-block"),
        pytest.param({"kubernetes.io": ["pod"]}, "not_pod_bound", id="block-of-another-type"),
        pytest.param({"kubernetes.io": {**KUBERNETES, "pod": {"name": "a"}}}, "not_pod_bound", id="no-pod-uid"),
        pytest.param({"aud": ["wrong.audience"]}, "wrong_audience", id="jwks-004"),
        pytest.param({"aud": [CLUSTER.upper()]}, "wrong_audience", id="audience-in-another-case"),
        pytest.param({"aud": [CLUSTER + ".evil.com"]}, "wrong_audience", id="audience-that-begins-alike"),
        pytest.param({"aud": []}, "wrong_audience", id="no-audience"),
        pytest.param({"iat": None}, "missing_claim", id="jwks-006"),
        pytest.param({"exp": None}, "missing_claim", id="no-end"),
        pytest.param({"exp": int((NOW - timedelta(minutes=1)).timestamp())}, "token_expired", id="jwks-008"),
        pytest.param(
            {"exp": int((NOW + timedelta(minutes=29, seconds=1)).timestamp())}, "token_ttl_too_long", id="ttl"
        ),
        pytest.param({"sub": "eve"}, "not_a_service_account", id="user"),
        pytest.param({"sub": "system:serviceaccount:a:b:c"}, "malformed_service_account", id="three-parts"),
        pytest.param({"sub": None}, "not_a_service_account", id="no-subject"),
        pytest.param({"sub": "system:serviceaccount:other:web"}, "no_rule_matched", id="kjoin-007"),
        pytest.param({"sub": ["system:serviceaccount:apps:web"]}, "token_malformed", id="subject-of-another-type"),
    ],
)
async def test_what_a_key_set_alone_vouches_for_is_judged_by_its_claims(changes: dict[str, Any], reason: str) -> None:
    assert await Judging().refuse(sign(build_claims(**changes)), **STATIC) == reason


async def test_jwks_010_thirty_minutes_are_allowed_and_no_second_more() -> None:
    end = int((NOW + timedelta(minutes=29)).timestamp())
    assert (await Judging().ask(sign(build_claims(exp=end)), **STATIC)).subject
    assert await Judging().refuse(sign(build_claims(exp=end + 1)), **STATIC) == "token_ttl_too_long"


async def test_hostile_01_a_forged_signature_is_refused() -> None:
    only_rsa = {"type": "static_jwks", "static_jwks": {"jwks": build_jwks(build_jwk(RSA))}}
    assert await Judging().refuse(sign(build_claims(), algorithm="ES256"), **only_rsa) == "unknown_key"
    assert await Judging().refuse(sign(build_claims(), algorithm="ES256", key=P256, kid="RS256"), **only_rsa) == (
        "bad_signature"
    )


async def test_keys_of_the_own_cluster_vouch_where_the_configuration_says_so() -> None:
    judging = Judging(kubernetes := FakeKubernetes(Verification.JWKS))
    assert (await judging.ask(sign(build_claims(aud=[DEFAULT])))).subject
    assert await judging.refuse(sign(build_claims(iss="https://other"))) == "wrong_issuer"
    assert await judging.refuse(sign(build_claims(aud=[DEFAULT])), require_own_audience=True) == "wrong_audience"
    assert kubernetes.asked == []


async def test_hostile_19_a_key_that_is_not_known_leads_to_one_look_at_the_cluster() -> None:
    judging = Judging(kubernetes := FakeKubernetes(Verification.JWKS))
    kubernetes.keys = build_jwks(build_jwk(RSA))
    assert (await judging.ask(sign(build_claims(), algorithm="ES256"))).subject
    kubernetes.published = build_jwks(build_jwk(RSA))
    kubernetes.keys = kubernetes.published
    assert await judging.refuse(sign(build_claims(), algorithm="ES256")) == "unknown_key"


async def test_published_keys_that_cannot_be_used_deny_nobody() -> None:
    judging = Judging(kubernetes := FakeKubernetes(Verification.JWKS))
    kubernetes.keys = "<html>"
    with pytest.raises(Unavailable):
        await judging.ask(sign(build_claims()))


@pytest.mark.parametrize("issuer", [ISSUER + "/", ISSUER[:-1], ISSUER.upper(), [ISSUER], None])
async def test_hostile_07_the_issuer_is_compared_as_a_whole(issuer: Any) -> None:
    oidc = {"type": "oidc", "oidc": {"issuer": ISSUER}}
    assert await Judging().refuse(sign(build_claims(iss=issuer)), **oidc) == "wrong_issuer"


async def test_as_many_issuers_as_are_remembered_are_not_asked_again_at_each_join(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    fetched: list[str] = []

    async def fetch(issuer: str, *, allow_http: bool) -> str:
        assert not allow_http
        fetched.append(issuer)
        return build_jwks()

    monkeypatch.setattr("teleport.kube.openid.fetch_key_set", fetch)
    judging = Judging()
    issuers = [f"https://issuer-{number}.example.com" for number in range(MAX_ISSUERS)]
    for issuer in [*issuers, *issuers]:
        await judging.ask(sign(build_claims(iss=issuer)), type="oidc", oidc={"issuer": issuer})
    assert fetched == issuers


async def test_a_token_without_an_id_is_known_by_its_own_bytes() -> None:
    judging = Judging()
    uses = [(await judging.ask(sign(build_claims(jti=None, nonce=n)), **STATIC)).use for n in (1, 2, 2)]
    ids = [use.proof_id for use in uses if use is not None]
    assert ids[0] != ids[1]
    assert ids[1] == ids[2]
