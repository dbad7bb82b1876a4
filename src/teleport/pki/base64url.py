"""Base64 as JSON web tokens and keys hold it (RFC 7515, 2): the alphabet of URLs, no padding, canonical."""

import base64
import binascii
import re

from teleport.errors import BadParameter

_ALPHABET = re.compile(r"[A-Za-z0-9_-]+")


def decode_base64url(text: object, *, what: str) -> bytes:
    """Decode the one text that stands for its bytes: no padding, no white space, no stray bits at the end.

    Args:
        text: what was received; nothing but a text that is not empty will do.
        what: names it in the error.

    Raises:
        BadParameter: it is something else.
    """
    if not isinstance(text, str) or not _ALPHABET.fullmatch(text):
        raise BadParameter(f"{what} is not base64url")
    try:
        decoded = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    except binascii.Error as error:
        raise BadParameter(f"{what} is not base64url") from error
    if base64.urlsafe_b64encode(decoded).rstrip(b"=") != text.encode("ascii"):
        raise BadParameter(f"{what} is not canonical base64url")
    return decoded


def encode_base64url(raw: bytes) -> str:
    """Encode bytes, without padding."""
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode("ascii")
