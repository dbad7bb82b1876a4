import base64
from datetime import UTC, datetime, timedelta

import pytest

from teleport.errors import BadParameter
from teleport.pki.totp import build_otpauth_uri, compute_code, find_step, generate_totp_secret, verify_code

SECRET = base64.b32encode(b"12345678901234567890").decode()
NOW = datetime(2026, 1, 31, 12, 0, 10, tzinfo=UTC)


@pytest.mark.parametrize(
    ("seconds", "code"),
    [(59, "287082"), (1111111109, "081804"), (1111111111, "050471"), (1234567890, "005924"), (20000000000, "353130")],
)
def test_the_vectors_of_rfc_6238_hold(seconds: int, code: str) -> None:
    assert compute_code(SECRET, seconds // 30) == code


@pytest.mark.parametrize("steps", [-1, 0, 1])
def test_a_code_is_good_one_step_either_way(steps: int) -> None:
    code = compute_code(SECRET, find_step(NOW) + steps)
    assert verify_code(SECRET, code, now=NOW) == find_step(NOW) + steps


@pytest.mark.parametrize("steps", [-2, 2])
def test_a_code_two_steps_away_is_not(steps: int) -> None:
    assert verify_code(SECRET, compute_code(SECRET, find_step(NOW) + steps), now=NOW) is None


def test_a_code_is_good_once() -> None:
    code = compute_code(SECRET, find_step(NOW))
    step = verify_code(SECRET, code, now=NOW)
    assert step is not None
    assert verify_code(SECRET, code, now=NOW, last_step=step) is None
    assert verify_code(SECRET, code, now=NOW + timedelta(seconds=30), last_step=step) is None


@pytest.mark.parametrize("code", ["", "12345", "0000000", "\uff11\uff12\uff13\uff14\uff15\uff16", "abcdef"])
def test_what_is_no_code_is_not_good(code: str) -> None:
    assert verify_code(SECRET, code, now=NOW) is None


def test_a_secret_has_160_random_bits() -> None:
    assert len(base64.b32decode(generate_totp_secret())) == 20
    assert generate_totp_secret() != generate_totp_secret()


def test_a_secret_that_is_not_base32_is_refused() -> None:
    with pytest.raises(BadParameter, match="not base32"):
        compute_code("not base32", 1)


def test_an_authenticator_is_told_everything_and_nothing_can_break_out() -> None:
    uri = build_otpauth_uri(secret="ABC", user="a&b@x", issuer="my cluster")
    assert uri == (
        "otpauth://totp/my%20cluster:a%26b%40x?secret=ABC&issuer=my%20cluster&algorithm=SHA1&digits=6&period=30"
    )
