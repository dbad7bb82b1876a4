from typing import Any

import pytest

from support.auth import ANONYMOUS, HOST_ID, build_host, build_user
from support.clock import START
from support.strangers import build_request
from teleport.api.joined import Keys, generate_keys
from teleport.api.messages import JoinRequest
from teleport.auth.join_request import JoinAttempt, parse_attempt
from teleport.errors import BadParameter
from teleport.resources.model import parse_model
from teleport.resources.role import SystemRole

TOKEN = "a-secret-token-of-some-length"


@pytest.fixture(scope="module")
def keys() -> Keys:
    return generate_keys()


def parse(keys: Keys, **fields: Any) -> JoinAttempt:
    return parse_attempt(build_request(keys, fields.pop("token", TOKEN), **fields), ANONYMOUS, frozenset())


def test_an_attempt_carries_what_was_claimed_and_the_address_that_was_seen(keys: Keys) -> None:
    attempt = parse(keys, role="node", node_name="web-1", proof="proof")
    assert (attempt.token_name, attempt.role, attempt.node_name) == (TOKEN, SystemRole.NODE, "web-1")
    assert attempt.remote_addr == ANONYMOUS.remote_addr
    assert attempt.proof.key_fingerprint == attempt.key_fingerprint == attempt.keys.csr.fingerprint
    assert attempt.known_host is None


def test_neither_the_token_nor_the_proof_is_in_the_repr(keys: Keys) -> None:
    request = build_request(keys, TOKEN, proof="a-secret-proof")
    shown = f"{parse(keys, proof='a-secret-proof')!r} {request!r}"
    assert TOKEN not in shown
    assert "a-secret-proof" not in shown


@pytest.mark.parametrize(
    ("fields", "what"),
    [
        ({"token": ""}, "token name is missing"),
        ({"token": "a\0b"}, "control character"),
        ({"role": "captain"}, "invalid role 'captain'"),
        ({"node_name": "a\nb"}, "node name contains a control character"),
        ({"role": "Node", "expires": START}, "only for bots"),
    ],
)
def test_what_is_malformed_is_refused(keys: Keys, fields: dict[str, Any], what: str) -> None:
    with pytest.raises(BadParameter, match=what):
        parse(keys, **fields)


def test_a_bot_may_say_when_it_ends(keys: Keys) -> None:
    assert parse(keys, role="Bot", expires=START).expires == START


def test_only_a_host_is_known_from_before(keys: Keys) -> None:
    request = build_request(keys, TOKEN)
    known = parse_attempt(request, build_host(SystemRole.NODE), frozenset()).known_host
    assert known is not None
    assert known.name == HOST_ID
    assert parse_attempt(request, build_user("editor"), frozenset()).known_host is None


def raw_request(keys: Keys, **fields: Any) -> dict[str, Any]:
    return {**build_request(keys, TOKEN).model_dump(mode="json", exclude_none=True), **fields}


@pytest.mark.parametrize(
    ("field", "fits", "too_much"),
    [
        ("token_name", "x" * 1024, "x" * 1025),
        ("join_method", "x" * 64, "x" * 65),
        ("role", "x" * 64, "x" * 65),
        ("node_name", "x" * 256, "x" * 257),
        ("proof", "x" * 65536, "x" * 65537),
        ("client_version", "x" * 64, "x" * 65),
        ("dns_names", ["x"] * 64, ["x"] * 65),
        ("additional_principals", ["x"] * 64, ["x"] * 65),
        ("dns_names", ["x" * 256], ["x" * 257]),
        ("additional_principals", ["x" * 256], ["x" * 257]),
    ],
)
def test_hostile_41_every_field_has_a_bound(keys: Keys, field: str, fits: object, too_much: object) -> None:
    parse_model(JoinRequest, raw_request(keys, **{field: fits}), "request")
    with pytest.raises(BadParameter, match=field):
        parse_model(JoinRequest, raw_request(keys, **{field: too_much}), "request")


def test_hostile_41_a_thousand_names_are_refused(keys: Keys) -> None:
    names = [f"host-{number}.example.com" for number in range(1000)]
    with pytest.raises(BadParameter, match="dns_names"):
        parse_model(JoinRequest, raw_request(keys, dns_names=names), "request")


@pytest.mark.parametrize(
    "csr", ["x" * 16384, "", "-----BEGIN CERTIFICATE REQUEST-----\nMA==\n-----END CERTIFICATE REQUEST-----\n"]
)
def test_hostile_41_what_is_no_request_is_refused(keys: Keys, csr: str) -> None:
    request = build_request(keys, TOKEN)
    broken = request.model_copy(update={"keys": request.keys.model_copy(update={"csr": csr})})
    with pytest.raises(BadParameter):
        parse_attempt(broken, ANONYMOUS, frozenset())


@pytest.mark.parametrize("expires", [0, -1, 10**12, float("nan"), "0", "NaN", "2026-01-01", "2026-01-01T00:00:00"])
def test_hostile_43_an_end_that_is_no_moment_is_refused(keys: Keys, expires: object) -> None:
    with pytest.raises(BadParameter, match="a time is written like"):
        parse_model(JoinRequest, raw_request(keys, role="Bot", expires=expires), "request")


def test_hostile_43_an_end_beyond_the_calendar_is_refused(keys: Keys) -> None:
    with pytest.raises(BadParameter, match="outside the years"):
        parse_model(JoinRequest, raw_request(keys, role="Bot", expires="9999-12-31T23:59:59-10:00"), "request")
