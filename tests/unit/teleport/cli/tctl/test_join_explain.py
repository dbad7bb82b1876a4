import json
import re
from collections.abc import Mapping
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.fake_cluster import CLUSTER_NAME, NOW, FakeCluster, run_tctl, tctl_output
from support.jwt_tokens import P256, build_claims, build_jwk, build_jwks, sign
from teleport.errors import BadParameter, NotFound, TeleportError, TooLarge
from teleport.resources.model import Metadata
from teleport.resources.role import SystemRole
from teleport.resources.token import Token, TokenLimits, TokenSpec

SECRET = "abcd123-insecure-do-not-use-this"
RULE = {"service_account": "apps:web"}


def at(**offset: float) -> int:
    return int((NOW + timedelta(**offset)).timestamp())


def build_proof(**changes: Any) -> str:
    times = {"iat": at(minutes=-1), "nbf": at(minutes=-1), "exp": at(minutes=10)}
    return sign(build_claims(**({"aud": [CLUSTER_NAME]} | times | changes)))


def build_token(
    name: str = "pods",
    section: Mapping[str, Any] | None = None,
    *,
    expires: datetime | None = None,
    limits: TokenLimits | None = None,
) -> Token:
    spec = TokenSpec(
        roles=(SystemRole.APP,),
        join_method="kubernetes",
        kubernetes={"allow": [RULE], **(section or {})},
        limits=limits,
    )
    return Token(metadata=Metadata(name=name, expires=expires), spec=spec)


def explain(cluster: FakeCluster, proof: str, *args: str) -> tuple[int, Any]:
    """Return the exit status and the answer, and make sure that the token is not in it."""
    outputs = []
    for output_format in ("text", "yaml", "json"):
        arguments = ["join", "explain", "--token-file=-", f"--format={output_format}", *args]
        result = run_tctl(cluster, *arguments, stdin=proof + "\n")
        assert not any(part in result.output for part in proof.split("."))
        assert not isinstance(result.exception, TeleportError), result.exception
        outputs.append((result.exit_code, result.stdout))
    assert len({status for status, _ in outputs}) == 1
    answer = json.loads(outputs[2][1])
    assert yaml.safe_load(outputs[1][1]) == answer
    return outputs[2][0], answer


def find_remedy(cluster: FakeCluster, proof: str, reason: str, *args: str) -> Any:
    """Return the YAML that is offered for a reason."""
    status, answer = explain(cluster, proof, *args)
    assert status == 1
    (finding,) = [each for each in answer["tokens"][0]["findings"] if each["reason"] == reason]
    return yaml.safe_load(finding["yaml"])


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.add(build_token())
    return cluster


def test_a_pod_that_would_be_admitted_is_told_by_whom_and_under_which_conditions(cluster: FakeCluster) -> None:
    output = tctl_output(cluster, "join", "explain", "--token-file=-", stdin=build_proof())
    assert (
        output
        == f"""\
Subject:   system:serviceaccount:apps:web
Pod:       web-0
Audience:  {CLUSTER_NAME}
Issuer:    https://issuer.example.com
Issued:    2023-03-30T18:11:52Z
Expires:   2023-03-30T18:22:52Z
Key:       RS256

The ServiceAccount token is read and not verified: nobody was asked whether it is genuine. Only where a token
resource has static_jwks, its signature was tried by those keys.

Token Admits Why
----- ------ --------------------------------
pods  yes    rule 1: service_account=apps:web

pods admits it, if
  - the API server of auth's cluster vouches for it
  - no other key has shown it before
  - it asks for a role that is granted: App
"""
    )


def test_a_pod_that_would_be_refused_is_told_why_and_what_to_write(cluster: FakeCluster) -> None:
    proof = build_proof(sub="system:serviceaccount:default:web")
    result = run_tctl(cluster, "join", "explain", "--token-file=-", "--role=app", stdin=proof)
    assert result.exit_code == 1
    _, _, why = result.stdout.partition("does not admit it:\n")
    assert (
        why
        == """\
  - rules: no rule admits default:web; the nearest is rule 1, which differs in service_account ('apps:web', \
and the token says 'default:web') (no_rule_matched)
    What helps: add this rule to spec.kubernetes of the token resource:

        allow:
        - service_account: default:web

"""
    )


def test_the_offered_rule_admits(cluster: FakeCluster) -> None:
    proof = build_proof(sub="system:serviceaccount:default:web")
    offered = find_remedy(cluster, proof, "no_rule_matched")
    cluster.add(build_token(section={"allow": [RULE, *offered["allow"]]}))
    assert explain(cluster, proof)[0] == 0


def test_the_offered_life_of_the_token_resource_admits() -> None:
    cluster = FakeCluster()
    cluster.add(build_token(expires=NOW - timedelta(days=1)))
    offered = find_remedy(cluster, build_proof(), "token_expired")
    cluster.add(build_token(expires=datetime.fromisoformat(offered["metadata"]["expires"])))
    assert explain(cluster, build_proof())[0] == 0


def test_the_offered_beginning_of_the_token_resource_admits() -> None:
    cluster = FakeCluster()
    cluster.add(build_token(limits=TokenLimits(not_before=NOW + timedelta(days=1))))
    offered = find_remedy(cluster, build_proof(), "token_not_yet_valid")
    cluster.add(build_token(limits=TokenLimits.model_validate(offered["spec"]["limits"])))
    assert explain(cluster, build_proof())[0] == 0


def test_the_offered_roles_admit(cluster: FakeCluster) -> None:
    offered = find_remedy(cluster, build_proof(), "role_not_granted", "--role=node")
    assert offered == {"spec": {"roles": ["App", "Node"]}}


def test_a_role_that_no_service_has_is_not_offered(cluster: FakeCluster) -> None:
    assert find_remedy(cluster, build_proof(), "role_not_granted", "--role=admin") is None


@pytest.mark.parametrize(
    ("section", "changes", "reason", "fields"),
    [
        (
            {"type": "static_jwks", "static_jwks": {"jwks": build_jwks()}},
            {"exp": at(hours=2)},
            "token_ttl_too_long",
            {"max_token_ttl": "2h1m0s"},
        ),
        (
            {"type": "oidc", "oidc": {"issuer": "https://another.example.com"}},
            {},
            "wrong_issuer",
            {"oidc": {"issuer": "https://issuer.example.com"}},
        ),
    ],
)
def test_the_offered_setting_admits(
    section: dict[str, Any], changes: dict[str, Any], reason: str, fields: dict[str, Any]
) -> None:
    cluster = FakeCluster()
    cluster.add(build_token(section=section))
    proof = build_proof(**changes)
    offered = find_remedy(cluster, proof, reason)
    assert offered == {"spec": {"kubernetes": fields}}
    cluster.add(build_token(section=section | fields))
    assert explain(cluster, proof)[0] == 0


@pytest.mark.parametrize(
    ("changes", "reason"),
    [({"aud": ["vault"]}, "wrong_audience"), ({"kubernetes.io": {}}, "not_pod_bound"), ({"exp": at(hours=1)}, "")],
)
def test_the_offered_volume_asks_for_the_cluster_s_audience(
    cluster: FakeCluster, changes: dict[str, Any], reason: str
) -> None:
    if not reason:
        assert explain(cluster, build_proof(**changes))[0] == 0
        return
    offered = find_remedy(cluster, build_proof(**changes), reason)
    (source,) = offered["volumes"][0]["projected"]["sources"]
    assert source["serviceAccountToken"]["audience"] == CLUSTER_NAME


def test_a_token_of_the_api_server_s_audience_is_admitted_under_a_condition(cluster: FakeCluster) -> None:
    for audience, flags, expected in (
        ("https://kubernetes.default.svc", [], 0),
        ("mine", [], 1),
        ("mine", ["--api-audience=other", "--api-audience=mine"], 0),
        ("https://kubernetes.default.svc", ["--api-audience=other"], 1),
    ):
        status, answer = explain(cluster, build_proof(aud=[audience]), *flags)
        assert status == expected
        conditions = answer["tokens"][0]["conditions"]
        assert (f"{audience!r} is the API server's own audience" in conditions) == (expected == 0)


def test_secret_tokens_are_masked_and_named_as_of_another_method(cluster: FakeCluster) -> None:
    cluster.add_token(SECRET)
    result = run_tctl(cluster, "join", "explain", "--token-file=-", stdin=build_proof())
    assert SECRET not in result.output
    assert "************************use-this no     method_mismatch" in result.stdout
    assert "use-this does not admit it" not in result.stdout
    offered = find_remedy(cluster, build_proof(), "method_mismatch", f"--token={SECRET}")
    assert Token.model_validate(offered).spec.kubernetes == {"allow": [RULE]}


@pytest.mark.parametrize("account", ["apps:\u202ebew", "apps:*", "apps:web: x", "a:b:c", "", "apps:" + "w" * 600])
def test_no_rule_is_offered_for_an_account_that_cannot_be(cluster: FakeCluster, account: str) -> None:
    status, answer = explain(cluster, build_proof(sub=f"system:serviceaccount:{account}"))
    assert status == 1
    assert not any("allow" in finding["yaml"] for finding in answer["tokens"][0]["findings"])


def test_an_issuer_that_could_act_where_it_is_pasted_is_not_offered() -> None:
    cluster = FakeCluster()
    cluster.add(build_token(section={"type": "oidc", "oidc": {"issuer": "https://another.example.com"}}))
    for issuer in ("http://issuer.example.com", "https://\u202eelpmaxe", "https://a b", 7, None):
        assert find_remedy(cluster, build_proof(iss=issuer), "wrong_issuer") is None


def test_a_secret_token_that_auth_masks_is_found_by_its_whole_name(cluster: FakeCluster) -> None:
    cluster.add_token("*" * 24 + SECRET[24:])
    for name in (SECRET, "*" * 24 + SECRET[24:]):
        assert [each["token"] for each in explain(cluster, build_proof(), f"--token={name}")[1]["tokens"]] == [
            "*" * 24 + SECRET[24:]
        ]


def test_networks_and_limits_of_uses_are_conditions() -> None:
    cluster = FakeCluster()
    limits = TokenLimits.model_validate({"allow_cidrs": ["192.0.2.0/24"], "max_uses": 3})
    cluster.add(build_token(limits=limits, section={"verify_pod": True}))
    conditions = explain(cluster, build_proof(), "--role=app")[1]["tokens"][0]["conditions"]
    assert conditions[-2:] == ["it comes from 192.0.2.0/24", "the limits of uses are not reached"]
    assert not any("role" in each for each in conditions)


def test_one_of_several_tokens_is_enough_and_one_may_be_named(cluster: FakeCluster) -> None:
    cluster.add(build_token("other", {"allow": [{"service_account": "a:b"}]}))
    assert explain(cluster, build_proof())[0] == 0
    assert explain(cluster, build_proof(), "--token=other")[0] == 1
    result = run_tctl(cluster, "join", "explain", "--token-file=-", "--token=none", stdin=build_proof())
    assert isinstance(result.exception, NotFound)


def test_a_section_that_cannot_be_read_is_a_finding_and_hides_no_other_token(cluster: FakeCluster) -> None:
    cluster.add(build_token("broken", {"type": "oidc"}))
    status, answer = explain(cluster, build_proof())
    assert status == 0
    assert [each["reason"] for each in answer["tokens"][0]["findings"]] == ["bad_request"]


def test_token_resources_may_come_from_a_file_and_nobody_is_asked(tmp_path: Path) -> None:
    rules = tmp_path / "rules.yaml"
    rules.write_text(yaml.safe_dump(build_token().model_dump(mode="json", exclude_none=True)))
    cluster = FakeCluster()
    arguments = [f"--file={rules}", f"--cluster-name={CLUSTER_NAME}"]
    assert explain(cluster, build_proof(), *arguments)[0] == 0
    assert explain(cluster, build_proof(sub="system:serviceaccount:a:b"), *arguments)[0] == 1
    assert cluster.calls == []


@pytest.mark.parametrize("argument", ["--cluster-name=example.com", "--file=-"])
def test_a_file_needs_the_cluster_s_name(cluster: FakeCluster, argument: str) -> None:
    assert run_tctl(cluster, "join", "explain", "--token-file=-", argument, stdin="").exit_code == 2


@pytest.mark.parametrize(
    ("proof", "expected"),
    [
        ("", BadParameter),
        ("eyJhbGciOiJub25lIn0.e30.", BadParameter),
        (sign(build_claims(), crit=["exp"]), BadParameter),
        ("x" * 64 * 1024, BadParameter),
        ("x" * (64 * 1024 + 1), TooLarge),
    ],
)
def test_what_is_no_token_is_refused_and_not_repeated(
    cluster: FakeCluster, proof: str, expected: type[TeleportError]
) -> None:
    result = run_tctl(cluster, "join", "explain", "--token-file=-", stdin=proof)
    assert isinstance(result.exception, expected)
    assert not proof or proof not in str(result.exception)
    assert cluster.calls == []


def test_a_token_that_is_given_instead_of_its_file_is_not_repeated(cluster: FakeCluster) -> None:
    proof = build_proof()
    result = run_tctl(cluster, "join", "explain", "--token-file", proof)
    assert result.exit_code == 2
    assert not any(part in result.output for part in proof.split("."))
    assert "what is wanted is a file" in result.output


def test_claims_of_any_shape_do_not_stop_the_explanation_and_cannot_steer_a_terminal(cluster: FakeCluster) -> None:
    for changes in (
        {"sub": 7, "aud": 8, "exp": "soon", "iat": [], "kubernetes.io": []},
        {"sub": "system:serviceaccount:apps:\u202ebew", "iss": "https://\u202eelpmaxe"},
        {"sub": "\x1b[2J" * 1000, "aud": ["\x1b[2J"], "iss": "\n- forged", "kubernetes.io": {"pod": {"name": "\x1b"}}},
    ):
        result = run_tctl(cluster, "join", "explain", "--token-file=-", stdin=build_proof(**changes))
        assert result.exit_code == 1
        assert not re.search("[\x1b\u202e]", result.stdout)
        assert "\n- forged" not in result.stdout
        assert explain(cluster, build_proof(**changes))[0] == 1


def test_a_key_that_is_missing_is_fetched_by_a_command() -> None:
    cluster = FakeCluster()
    section = {"type": "static_jwks", "static_jwks": {"jwks": build_jwks(build_jwk(P256))}}
    cluster.add(build_token(section=section))
    result = run_tctl(cluster, "join", "explain", "--token-file=-", stdin=build_proof())
    assert "kubectl get --raw /openid/v1/jwks" in result.stdout


def test_help_is_offered_once_where_it_helps_twice(cluster: FakeCluster) -> None:
    cluster.add(build_token(section={"require_own_audience": True}))
    proof = build_proof(aud=["vault"], **{"kubernetes.io": {}})
    result = run_tctl(cluster, "join", "explain", "--token-file=-", stdin=proof)
    assert result.stdout.count("serviceAccountToken:") == 1
