"""The cases of area token.kubernetes, and what goes beyond the original."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from support.jwt_tokens import build_jwks
from teleport.errors import BadParameter
from teleport.join.kubernetes.spec import MAX_RULES, KubernetesSpec, OnReuse, ProofType, Rule, parse_spec
from teleport.resources.model import Metadata
from teleport.resources.role import SystemRole
from teleport.resources.token import Token, TokenSpec

RULE = {"service_account": "namespace:my-service-account"}
NAMES = [*KubernetesSpec.model_fields, *Rule.model_fields, "jwks", "issuer", "insecure_allow_http_issuer"]


def build(**section: Any) -> Token:
    """Return a token with a section; without rules it has one."""
    spec = TokenSpec(roles=(SystemRole.NODE,), join_method="kubernetes", kubernetes={"allow": [RULE], **section})
    return Token(metadata=Metadata(name="test"), spec=spec)


def test_tok_030_the_type_is_in_cluster_unless_it_is_given() -> None:
    spec = parse_spec(build())
    assert (spec.type, spec.on_token_reuse, spec.max_ttl) == (ProofType.IN_CLUSTER, OnReuse.SAME_ADDRESS, None)


def test_tokens_that_only_a_signature_vouches_for_live_thirty_minutes() -> None:
    spec = parse_spec(build(type="static_jwks", static_jwks={"jwks": build_jwks()}))
    assert spec.max_ttl == timedelta(minutes=30)
    assert len(spec.keys.keys) == 3


def test_the_life_of_a_token_may_be_bounded() -> None:
    assert parse_spec(build(max_token_ttl="1h30m")).max_ttl == timedelta(hours=1, minutes=30)


def test_a_token_without_the_section_is_refused() -> None:
    token = Token(metadata=Metadata(name="test"), spec=TokenSpec(roles=(SystemRole.NODE,), join_method="kubernetes"))
    with pytest.raises(BadParameter, match="missing"):
        parse_spec(token)


@pytest.mark.parametrize(
    "section",
    [
        pytest.param({"allow": []}, id="no-rules"),
        pytest.param({"allow": [{}]}, id="tok-036"),
        pytest.param({"type": "static_jwks", "static_jwks": {}}, id="tok-034"),
        pytest.param({"type": "static_jwks"}, id="no-block"),
        pytest.param({"type": "in_cluster", "static_jwks": {"jwks": "{}"}}, id="tok-038"),
        pytest.param({"allow": [{"service_account": "a:b:c"}]}, id="tok-040"),
        pytest.param({"allow": [{"service_account": ":sa"}]}, id="tok-042"),
        pytest.param({"allow": [{"service_account": "ns:"}]}, id="no-name"),
        pytest.param({"allow": [{"service_account": "ns"}]}, id="one-part"),
        pytest.param({"allow": [{"service_account": "ns:*"}]}, id="pattern-in-the-wrong-place"),
        pytest.param({"allow": [{"service_account": "Ns:sa"}]}, id="case"),
        pytest.param({"allow": [{"service_account_namespace": "a b"}]}, id="pattern"),
        pytest.param({"allow": [RULE] * (MAX_RULES + 1)}, id="too-many-rules"),
        pytest.param({"allow": [{"service_accounts": "a:b"}]}, id="unknown-field-of-a-rule"),
        pytest.param({"audience": "x"}, id="unknown-field"),
        pytest.param({"type": "carrier-pigeon"}, id="unknown-type"),
        pytest.param({"type": "oidc"}, id="no-issuer"),
        pytest.param({"type": "oidc", "oidc": {"issuer": "http://issuer"}}, id="plain-http"),
        pytest.param({"type": "oidc", "oidc": {"issuer": "https://user@issuer"}}, id="user-in-issuer"),
        pytest.param({"type": "oidc", "oidc": {"issuer": "https://issuer?x=y"}}, id="query-in-issuer"),
        pytest.param({"oidc": {"issuer": "https://issuer"}}, id="oidc-for-in-cluster"),
        pytest.param({"max_token_ttl": "soon"}, id="no-duration"),
        pytest.param({"max_token_ttl": "0s"}, id="no-life"),
        pytest.param({"on_token_reuse": "maybe"}, id="unknown-word"),
        pytest.param(
            {"type": "static_jwks", "static_jwks": {"jwks": build_jwks()}, "verify_pod": True}, id="pod-elsewhere"
        ),
        pytest.param({"type": "oidc", "oidc": {"issuer": "https://issuer"}, "bind_to_pod": True}, id="life-elsewhere"),
    ],
)
def test_a_section_by_which_nobody_could_be_judged_is_refused(section: dict[str, Any]) -> None:
    with pytest.raises(BadParameter, match=r"spec\.kubernetes|duration"):
        parse_spec(build(**section))


def test_tok_032_a_key_set_that_cannot_be_read_is_refused_when_it_is_stored() -> None:
    broken = '{"keys":[{"use":"sig","kty":"RSA","kid":"x","alg":"RS256","n":"x","e":"x"}]}'
    with pytest.raises(BadParameter, match="key"):
        parse_spec(build(type="static_jwks", static_jwks={"jwks": broken}))


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text("ab:/*.[]1hs", max_size=12) | st.just("https://issuer"),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=6,
)


@settings(max_examples=50)
@given(st.dictionaries(st.sampled_from(NAMES), VALUES))
def test_any_section_is_read_or_refused_and_reads_the_same_again(section: dict[str, Any]) -> None:
    try:
        spec = parse_spec(build(**section))
    except BadParameter:
        return
    assert parse_spec(build(**spec.model_dump(mode="json", exclude_defaults=True))) == spec


@pytest.mark.parametrize(
    "issuer", ["https://[issuer", "https://issuer:port", "https://issuer:99999", "https://issuer:0"]
)
def test_an_issuer_that_is_no_address_is_refused(issuer: str) -> None:
    with pytest.raises(BadParameter, match="must be an https address"):
        parse_spec(build(type="oidc", oidc={"issuer": issuer}))
