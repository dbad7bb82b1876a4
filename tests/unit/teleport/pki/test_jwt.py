import json
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.jwt_tokens import NOW, build_claims, encode, sign
from teleport.pki.jwt import (
    LEEWAY,
    MAX_KEY_ID,
    MAX_TOKEN,
    JwtError,
    check_times,
    parse_jwt,
    read_audiences,
    read_text,
    read_time,
)
from teleport.pki.strict_json import MAX_DEPTH

SOUND = sign(build_claims())


def refuse(token: str) -> str:
    """Return why a token is refused; no word of it is in the message."""
    with pytest.raises(JwtError) as refusal:
        parse_jwt(token)
    assert len(refusal.value.message) < 100
    return refusal.value.reason


LATEST = 253402214400


def seconds(offset: timedelta) -> int:
    return int((NOW + offset).timestamp())


@pytest.mark.parametrize("algorithm", ["RS256", "ES256", "EdDSA"])
def test_a_token_is_read_as_it_was_signed(algorithm: str) -> None:
    token = sign(build_claims(), algorithm=algorithm)
    read = parse_jwt(token)
    assert (read.algorithm, read.key_id, read.claims) == (algorithm, algorithm, build_claims())
    assert read.signed.decode() == token.rpartition(".")[0]


def test_nothing_of_a_token_is_in_its_repr() -> None:
    assert "serviceaccount" not in repr(parse_jwt(SOUND))


@pytest.mark.parametrize("algorithm", ["none", "None", "HS256", "rs256", "RS512", "PS256", "", None, 1, ["RS256"]])
def test_hostile_02_other_algorithms_are_refused(algorithm: Any) -> None:
    header = encode(json.dumps({"alg": algorithm}).encode())
    assert refuse(f"{header}.{encode(b'{}')}.{encode(b'x')}") == "token_algorithm"


@pytest.mark.parametrize("key_id", ["", "x" * (MAX_KEY_ID + 1), 7, ["a"]])
def test_hostile_03_a_key_id_that_is_no_short_text_is_refused(key_id: Any) -> None:
    assert refuse(sign(build_claims(), kid=key_id)) == "token_header"


@pytest.mark.parametrize("name", ["kid", "typ"])
def test_null_is_not_the_same_as_absent_in_a_header(name: str) -> None:
    header = encode(json.dumps({"alg": "RS256", name: None}).encode())
    assert refuse(f"{header}.{encode(b'{}')}.{encode(b'x')}") == "token_header"


@pytest.mark.parametrize("kind", ["JWT", "at+jwt", None])
def test_the_types_of_access_tokens_are_read(kind: str | None) -> None:
    assert parse_jwt(sign(build_claims(), typ=kind)).claims == build_claims()


@pytest.mark.parametrize("kind", ["jwt", "JOSE", "", "secevent+jwt", 1, ["JWT"]])
def test_other_types_of_tokens_are_refused(kind: Any) -> None:
    assert refuse(sign(build_claims(), typ=kind)) == "token_header"


@pytest.mark.parametrize("key_id", ["../../key", "' OR 1=1 --", "x" * MAX_KEY_ID])
def test_hostile_03_a_key_id_is_nothing_but_a_text(key_id: str) -> None:
    assert parse_jwt(sign(build_claims(), kid=key_id)).key_id == key_id


@pytest.mark.parametrize("name", ["jku", "x5u", "jwk", "x5c", "b64", "zip", "enc"])
def test_hostile_04_a_token_that_brings_its_own_key_is_refused(name: str) -> None:
    header: dict[str, Any] = {name: "https://evil.example.com/keys"}
    assert refuse(sign(build_claims(), **header)) == "token_header"


@pytest.mark.parametrize("critical", [[], ["exp"], "b64"])
def test_hostile_05_crit_is_refused(critical: Any) -> None:
    assert refuse(sign(build_claims(), crit=critical)) == "token_header"


@pytest.mark.parametrize(
    "body",
    [
        b'{"exp": 1, "exp": 2}',
        b'{"exp": 1.5}',
        b'{"exp": NaN}',
        b'{"exp": Infinity}',
        b'{"exp": 9223372036854775808000}',
        b"[]",
        b"1",
        b"{",
        b"\xff\xfe",
        b"[" * (MAX_DEPTH + 1) + b"]" * (MAX_DEPTH + 1),
        b'{"a":' * 1000 + b"1" + b"}" * 1000,
    ],
)
def test_hostile_17_claims_that_are_no_plain_object_are_refused(body: bytes) -> None:
    assert refuse(sign(body)) == "token_malformed"


@pytest.mark.parametrize("exp", [-1, 2**63, 2**63 - 1, LATEST + 1, 253402300799, True, "1", [1], None])
def test_hostile_17_a_time_that_is_none_is_refused(exp: Any) -> None:
    with pytest.raises(JwtError) as refusal:
        check_times({"exp": exp}, NOW)
    assert refusal.value.reason == "token_malformed"


def test_hostile_17_to_the_latest_time_the_leeway_can_be_added() -> None:
    check_times({"exp": LATEST}, NOW)
    with pytest.raises(JwtError) as refusal:
        check_times({"exp": LATEST, "nbf": LATEST}, NOW)
    assert refusal.value.reason == "token_not_yet_valid"


@pytest.mark.parametrize("body", [b'{"jti": "\\ud800"}', '{"exp": 1}'.encode("utf-16"), b"\xef\xbb\xbf{}"])
def test_hostile_17_claims_in_another_encoding_and_half_characters_are_refused(body: bytes) -> None:
    assert refuse(sign(body)) == "token_malformed"


def test_hostile_17_a_token_may_be_as_long_as_the_limit_and_not_longer() -> None:
    padding = "x" * (MAX_TOKEN // 2)
    head, _, _ = sign(build_claims(pad=padding)).rpartition(".")
    signature = "A" * (MAX_TOKEN - len(head) - 1)
    signature = signature[: len(signature) // 4 * 4]
    longest = f"{head}.{signature}"
    assert MAX_TOKEN - 4 < len(longest) <= MAX_TOKEN
    assert parse_jwt(longest).claims["pad"] == padding
    with pytest.raises(JwtError, match="longer than"):
        parse_jwt(longest + "AAAA")
    with pytest.raises(JwtError, match="longer than"):
        parse_jwt("." * (MAX_TOKEN + 1))
    with pytest.raises(JwtError, match="no JSON web token"):
        parse_jwt("." * MAX_TOKEN)


@pytest.mark.parametrize(
    "token",
    [
        SOUND + "=",
        SOUND + "\n",
        " " + SOUND,
        SOUND.replace(".", " .", 1),
        SOUND + ".x",
        SOUND.rpartition(".")[0],
        SOUND.rpartition(".")[0] + ".",
        SOUND.replace("e", "+", 1),
        "",
        "..",
        "a",
    ],
)
def test_hostile_18_only_canonical_base64url_is_read(token: str) -> None:
    assert refuse(token) == "token_malformed"


def test_hostile_18_stray_bits_at_the_end_are_refused() -> None:
    head, _, signature = sign(build_claims(), algorithm="EdDSA").rpartition(".")
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    stray = signature[:-1] + alphabet[alphabet.index(signature[-1]) ^ 1]
    assert refuse(f"{head}.{stray}") == "token_malformed"


@pytest.mark.parametrize(
    ("claim", "offset", "reason"),
    [
        ("exp", -LEEWAY, None),
        ("exp", -LEEWAY - timedelta(seconds=1), "token_expired"),
        ("nbf", LEEWAY, None),
        ("nbf", LEEWAY + timedelta(seconds=1), "token_not_yet_valid"),
        ("iat", LEEWAY, None),
        ("iat", LEEWAY + timedelta(seconds=1), "token_issued_in_future"),
    ],
)
def test_hostile_06_times_hold_within_the_leeway_its_edge_included(
    claim: str, offset: timedelta, reason: str | None
) -> None:
    claims = build_claims(**{claim: seconds(offset)})
    if reason is None:
        check_times(claims, NOW)
        return
    with pytest.raises(JwtError) as refusal:
        check_times(claims, NOW)
    assert refusal.value.reason == reason


def test_one_audience_is_a_list_of_one() -> None:
    assert read_audiences({"aud": "a"}) == ("a",)
    assert read_audiences({"aud": ["a", "b"]}) == ("a", "b")
    assert read_audiences({}) == ()


@pytest.mark.parametrize("audience", [1, {"a": 1}, [1], ["a", None]])
def test_an_audience_that_is_no_text_is_refused(audience: Any) -> None:
    with pytest.raises(JwtError):
        read_audiences({"aud": audience})


def test_hostile_07_an_array_as_issuer_is_refused() -> None:
    with pytest.raises(JwtError):
        read_text({"iss": ["https://issuer.example.com"]}, "iss")


def test_an_absent_time_is_none() -> None:
    assert read_time({}, "exp") is None


@given(st.text(max_size=200))
def test_noise_is_refused_and_breaks_nothing(text: str) -> None:
    with pytest.raises(JwtError):
        parse_jwt(text)


@given(at=st.integers(0, len(SOUND) - 1), put=st.text(max_size=3), skip=st.integers(0, 3))
def test_mutilated_tokens_are_read_or_refused(at: int, put: str, skip: int) -> None:
    try:
        parse_jwt(SOUND[:at] + put + SOUND[at + skip :])
    except JwtError as error:
        assert error.reason in {"token_malformed", "token_algorithm", "token_header"}  # noqa: PT017 - none is fine, too


@given(
    st.dictionaries(
        st.sampled_from(["exp", "nbf", "iat"]), st.integers(-(2**63), 2**63) | st.none() | st.text(max_size=2)
    )
)
def test_any_times_are_judged_or_refused(claims: dict[str, Any]) -> None:
    try:
        check_times(claims, NOW)
    except JwtError:
        return
    assert all(isinstance(value, int) for value in claims.values())


def test_no_word_of_a_token_is_in_the_chain_of_errors() -> None:
    body = b'{"sub": "system:serviceaccount:apps:web", "sub": 1}'
    for token in (sign(body), sign(body[:-1]), SOUND + "=", SOUND + "." + SOUND):
        with pytest.raises(JwtError) as refusal:
            parse_jwt(token)
        said = f"{refusal.value!r} {refusal.value.__cause__!r}"
        assert "serviceaccount" not in said
        assert SOUND[:12] not in said
