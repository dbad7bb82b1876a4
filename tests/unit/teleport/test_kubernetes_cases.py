"""The cases of `tests/cases/kubernetes.yaml` against the real use cases, beside a cluster that a test steers."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.auth import ADMIN, ANONYMOUS, CLUSTER
from support.fake_kube import build_status
from support.jwt_tokens import ISSUER, RSA, build_claims, build_jwk, build_jwks, sign
from support.pod_joining import (
    AUTH_ACCOUNT,
    STATIC,
    TOKEN_NAME,
    FakeIssuers,
    PodJoining,
    after_now,
    build_proof,
    forge_proof,
)
from teleport.errors import BadParameter, TeleportError, Unavailable
from teleport.join.kubernetes import proving
from teleport.join.kubernetes.spec import parse_spec
from teleport.kube.api import copy_status
from teleport.kube.errors import BadAnswer
from teleport.kube.server_version import parse_version
from teleport.resources.codec import parse_resource
from teleport.resources.token import Token

DIFFERENCES = {
    "tok-032": "a key set is read when it is stored, and not first when somebody joins",
    "tok-042": "neither part of a rule may be empty",
    "rev-001": "where auth's own token has no audience the cluster's name is asked alone; never a review without any",
    "rev-003": "Kubernetes is 1.29 or later, so that a token that is bound to no pod is refused everywhere",
    "rev-005": "a proof that does not convince is always 403 and one code; the reason is in the audit log",
    "rev-007": "the same; what Kubernetes says is in the audit log, and the caller does not learn it",
    "aud-004": "it is auth's own trouble: 503, and nobody is denied",
    "ver-001": "Kubernetes is 1.29 or later",
    "ver-005": "the same",
    "jwks-002": "403, as for every proof that does not convince",
    "jwks-006": "the same",
    "two-pods": "a pod that cannot be named is no pod",
    "jwks-008": "403, as for every proof that does not convince",
    "jwks-forged-and-expired": "times are looked at before the signature, which costs more",
    "kjoin-005": "403, by a reason of its own",
    "kjoin-011": "the same",
}
"""Cases of the original in which we do something else, and why."""

CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load(
    (Path(__file__).parents[2] / "cases" / "kubernetes.yaml").read_text()
)
KEYS = build_jwks(build_jwk(RSA))


def cases(section: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", CASES[section], ids=[case["id"] for case in CASES[section]])


def test_every_case_has_an_id_of_its_own_and_differences_name_cases() -> None:
    ids = [case["id"] for section in CASES.values() for case in section]
    assert len(set(ids)) == len(ids)
    assert set(DIFFERENCES) <= set(ids)


def put_keys(section: dict[str, Any]) -> dict[str, Any]:
    """Return a section with the sound key set where a case asks for it."""
    if section.get("static_jwks", {}).get("jwks") == "KEYS":
        return {**section, "static_jwks": {"jwks": KEYS}}
    return section


@cases("tokens")
async def test_a_token_as_written(case: dict[str, Any]) -> None:
    joining = await PodJoining.start()
    section = put_keys({"allow": [{"service_account": "a:b"}], **case.get("spec", {})})
    spec = {"roles": case.get("roles", ["Node"]), "join_method": "kubernetes", "kubernetes": section}
    if "section" in case:
        spec.pop("kubernetes")
    raw = {"kind": "token", "version": "v2", "metadata": {"name": "test-token"}, "spec": spec}
    if "says" in case:
        with pytest.raises(BadParameter, match=case["says"]):
            await joining.auth.tokens.create(parse_resource(raw), ADMIN)
        return
    created = await joining.auth.tokens.create(parse_resource(raw), ADMIN)
    assert isinstance(created, Token)
    found = parse_spec(created)
    assert found.type == case.get("filled", {}).get("type", section.get("type", "in_cluster"))


async def judge(joining: PodJoining, proof: str, case: dict[str, Any]) -> None:
    """Join, or be refused by the reason that the case names."""
    if "reason" in case:
        assert await joining.refuse(proof) == case["reason"]
        return
    await joining.join(proof)
    event = await joining.auth.last_event()
    assert event["success"] is True
    assert event["attributes"]["service_account"] == "web"
    assert event["attributes"]["pod"] == "web-0"


@cases("reviews")
async def test_a_review(case: dict[str, Any]) -> None:
    joining = await PodJoining.start(**case.get("spec", {}))
    joining.api.own_token = sign(build_claims(aud=case.get("own", ["k3s"]), sub=AUTH_ACCOUNT))
    status = build_status(CLUSTER)
    for name, value in case.get("status", {}).items():
        (status if name in status else status["user"])[name] = value
    refusal = {"user": {}, "error": case.get("error", "")}
    joining.api.answers[proof := build_proof()] = copy_status({"status": refusal if "error" in case else status})
    await judge(joining, proof, case)
    if "asked" in case:
        assert joining.api.asked == [tuple(case["asked"])]
    if case.get("error"):
        event = await joining.auth.last_event()
        assert case["error"] in event["message"]


@cases("own_tokens")
async def test_auth_s_own_token(case: dict[str, Any]) -> None:
    joining = await PodJoining.start()
    joining.api.own_token = case.get("text") or sign(build_claims(**case["claims"]))
    if case.get("unavailable"):
        failure = await joining.fail(build_proof())
        assert failure.reason == "kubernetes_bad_answer"
        assert joining.api.asked == []
        return
    assert (await joining.join(build_proof())).host_id
    assert joining.api.asked == [tuple(case["asked"])]


@cases("versions")
def test_a_version(case: dict[str, Any]) -> None:
    if case.get("error"):
        with pytest.raises(BadAnswer):
            parse_version(case["text"])
        return
    assert parse_version(case["text"]).is_supported is case["supported"]


@cases("static_jwks")
async def test_a_token_by_a_key_of_the_set(case: dict[str, Any]) -> None:
    joining = await PodJoining.start(**STATIC, **case.get("spec", {}))
    times = {name: after_now(seconds=offset) for name, offset in case.get("times", {}).items()}
    build = forge_proof if case.get("forged") else build_proof
    proof = build(**times, **case.get("claims", {}))
    await judge(joining, proof, case)
    assert (joining.api.asked, joining.api.keys_asked) == ([], 0)


@cases("joins")
async def test_a_join(case: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("teleport.kube.openid.fetch_key_set", FakeIssuers().fetch)
    kind = case.get("type", "in_cluster")
    blocks: dict[str, Any] = {"static_jwks": STATIC, "oidc": {"oidc": {"issuer": ISSUER}}, "in_cluster": {}}
    joining = await PodJoining.start(**{**blocks[kind], "type": kind, "allow": case["allow"]})
    namespace, name = (case.get("account") or case["user"]).split(":")
    bound = {"namespace": namespace, "pod": {"name": "web-0", "uid": "u"}, "serviceaccount": {"name": name, "uid": "v"}}
    proof = build_proof(
        sub=f"system:serviceaccount:{namespace}:{name}",
        iss=case.get("issuer", ISSUER),
        exp=after_now(seconds=case.get("life", 600)),
        **{"kubernetes.io": bound},
    )
    status = copy_status({"status": build_status(CLUSTER, namespace=namespace, name=name)})
    joining.api.answers[proof] = replace(status, username=case["user"]) if "user" in case else status
    await assert_outcome(joining, proof, case)


async def assert_outcome(joining: PodJoining, proof: str, case: dict[str, Any]) -> None:
    try:
        await joining.auth.join(TOKEN_NAME, proof=proof, role=case.get("role", "Instance"), caller=ANONYMOUS)
    except Unavailable:
        raise
    except TeleportError as error:
        assert error.code == "join_refused"  # noqa: PT017 - whether it is refused is what the case says
    event = await joining.auth.last_event()
    assert (event["success"], event.get("reason")) == ("reason" not in case, case.get("reason"))


@cases("sources")
def test_a_source(case: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proving, "DEFAULT_PATH", tmp_path / "default")
    monkeypatch.delenv(proving.PATH_VARIABLE, raising=False)
    if "variable" in case:
        monkeypatch.setenv(proving.PATH_VARIABLE, str(tmp_path / "other") if case["variable"] else "")
    content = case.get("content", "x" * case["size"] if "size" in case else None)
    if content is not None:
        (tmp_path / ("other" if case.get("variable") else "default")).write_text(content)
    if "error" in case:
        with pytest.raises(TeleportError) as refusal:
            proving.prove()
        assert refusal.value.code == case["error"]
        return
    assert proving.prove() == case.get("token", content)
