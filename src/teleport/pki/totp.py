"""One-time codes of an authenticator application (RFC 6238): SHA-1, six digits, thirty seconds."""

import base64
import binascii
import hashlib
import hmac
import secrets
from datetime import datetime
from urllib.parse import quote, urlencode

from teleport.errors import BadParameter

DIGITS = 6
PERIOD_SECONDS = 30
SKEW_STEPS = 1
"""So many steps before and after the present one are good: clocks differ, and people type slowly."""
SECRET_BYTES = 20
"""As long as the hash's output (RFC 4226, 4, R6)."""


def generate_totp_secret() -> str:
    """Make a secret, in base32 as authenticators want it."""
    return base64.b32encode(secrets.token_bytes(SECRET_BYTES)).decode("ascii")


def compute_code(secret: str, step: int) -> str:
    """Return the code of a time step (RFC 4226, 5.3).

    Raises:
        BadParameter: the secret is not base32.
    """
    try:
        key = base64.b32decode(secret)
    except binascii.Error as error:
        raise BadParameter("the secret of the second factor is not base32") from error
    digest = hmac.new(key, step.to_bytes(8, "big"), hashlib.sha1).digest()
    offset = digest[-1] & 0x0F
    number = int.from_bytes(digest[offset : offset + 4], "big") & 0x7FFFFFFF
    return str(number % 10**DIGITS).zfill(DIGITS)


def find_step(now: datetime) -> int:
    """Return the number of the present time step."""
    return int(now.timestamp()) // PERIOD_SECONDS


def verify_code(secret: str, code: str, *, now: datetime, last_step: int = -1) -> int | None:
    """Return the time step of a code that is good now and later than the last one used, or None.

    Args:
        secret: in base32.
        code: what was typed.
        now: the present.
        last_step: the step of the last code that was accepted: each is good once (RFC 6238, 5.2).
    """
    present = find_step(now)
    found = None
    for step in range(max(0, present - SKEW_STEPS), present + SKEW_STEPS + 1):
        if hmac.compare_digest(compute_code(secret, step).encode(), code.encode()) and step > last_step:
            found = step
    return found


def build_otpauth_uri(*, secret: str, user: str, issuer: str) -> str:
    """Return what an authenticator reads from a QR code."""
    label = f"{quote(issuer, safe='')}:{quote(user, safe='')}"
    facts = {"secret": secret, "issuer": issuer, "algorithm": "SHA1", "digits": DIGITS, "period": PERIOD_SECONDS}
    return f"otpauth://totp/{label}?{urlencode(facts, quote_via=quote)}"
