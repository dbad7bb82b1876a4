"""PEM text to DER bytes and back: exactly one block, bounded before anything is decoded (RFC 7468)."""

import base64
import binascii
import re

from teleport.errors import BadParameter, TooLarge

MAX_PEM_BYTES = 16 * 1024

CERTIFICATE = "CERTIFICATE"
CERTIFICATE_REQUEST = "CERTIFICATE REQUEST"

_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]{1,40})-----\r?\n((?:[A-Za-z0-9+/=]{1,76}\r?\n)+)-----END \1-----\s*")


def parse_pem(text: str, label: str, *, what: str, limit: int = MAX_PEM_BYTES) -> bytes:
    """Return the content of the one block that the text consists of.

    Args:
        text: the PEM text.
        label: what stands behind BEGIN.
        what: names the thing in messages, as `certificate request`.
        limit: the most characters that are looked at.

    Raises:
        TooLarge: the text is longer than the limit.
        BadParameter: no block, several, another label, or no base64 inside.
    """
    if len(text) > limit:
        raise TooLarge(f"the {what} is larger than {limit} bytes")
    block = _BLOCK.fullmatch(text)
    if block is None or block[1] != label:
        raise BadParameter(f"the {what} must be exactly one PEM block {label!r}")
    try:
        return base64.b64decode("".join(block[2].split()), validate=True)
    except binascii.Error as error:
        raise BadParameter(f"the {what} is not valid base64") from error


def render_pem(der: bytes, label: str) -> str:
    """Write DER bytes as one block of 64-character lines."""
    text = base64.b64encode(der).decode("ascii")
    lines = "\n".join(text[start : start + 64] for start in range(0, len(text), 64))
    return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----\n"
