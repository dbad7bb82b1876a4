"""Sealing: what lets someone in is encrypted before it is stored, under a key that is not in the store.

A sealed value is a version byte, a random 96-bit nonce, and AES-256-GCM's output. The key under which it is stored
and its kind are authenticated with it, so that values cannot be exchanged within the store. Random nonces are good
for 2^32 values under one key (NIST SP 800-38D, 8.3); what is sealed changes far too rarely for that to matter.
"""

import base64
import binascii
import hashlib
import hmac
import os
from dataclasses import dataclass, field

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from teleport.errors import BadParameter, SealError

KEY_BYTES = 32
NONCE_BYTES = 12
TAG_BYTES = 16
VERSION = b"\x01"
OVERHEAD = len(VERSION) + NONCE_BYTES + TAG_BYTES
MAX_PLAINTEXT_BYTES = 1024 * 1024
KEY_ID_BYTES = 8
"""Enough to tell two keys apart in a message."""


@dataclass(frozen=True, slots=True)
class SealKey:
    """The 32 secret bytes that everything sealed depends on; they are not shown."""

    raw: bytes = field(repr=False)

    def __post_init__(self) -> None:
        if len(self.raw) != KEY_BYTES:
            raise BadParameter(f"a seal key has {KEY_BYTES} bytes")

    def to_text(self) -> str:
        """Return the key as one line of base64, which is how a key file holds it."""
        return base64.b64encode(self.raw).decode("ascii")


def generate_seal_key() -> SealKey:
    """Make a random key."""
    return SealKey(os.urandom(KEY_BYTES))


def parse_seal_key(text: str) -> SealKey:
    """Read a key that `SealKey.to_text` wrote; white space around it does not matter.

    Raises:
        BadParameter: not 32 bytes in base64.
    """
    try:
        return SealKey(base64.b64decode(text.strip(), validate=True))
    except (binascii.Error, ValueError) as error:
        raise BadParameter(f"a seal key is {KEY_BYTES} bytes in base64, on one line") from error


class Sealer:
    """Seals and opens values, and hashes names, each with a key of its own that is derived from the seal key.

    Args:
        key: the seal key.
    """

    def __init__(self, key: SealKey) -> None:
        self._cipher = AESGCM(_derive(key, b"seal"))
        self._lookup_key = _derive(key, b"lookup")
        self.key_id = _derive(key, b"key id")[:KEY_ID_BYTES].hex()
        """Tells seal keys apart in messages, and reveals nothing about them."""

    def seal(self, plaintext: bytes, *, key: str, kind: str) -> bytes:
        """Encrypt a value for its place in the store.

        Args:
            plaintext: the value.
            key: under which it will be stored.
            kind: what it is.

        Raises:
            SealError: the value is larger than `MAX_PLAINTEXT_BYTES`.
        """
        if len(plaintext) > MAX_PLAINTEXT_BYTES:
            raise SealError(f"a {kind} is larger than {MAX_PLAINTEXT_BYTES} bytes and cannot be sealed")
        nonce = os.urandom(NONCE_BYTES)
        return VERSION + nonce + self._cipher.encrypt(nonce, plaintext, _associated_data(key, kind))

    def open(self, sealed: bytes, *, key: str, kind: str) -> bytes:
        """Decrypt a value that was sealed for this place.

        Raises:
            SealError: another seal key, place or kind, or the value was changed.
        """
        if not OVERHEAD <= len(sealed) <= OVERHEAD + MAX_PLAINTEXT_BYTES or not sealed.startswith(VERSION):
            raise SealError(f"a stored {kind} is not sealed, or by another version")
        nonce, ciphertext = sealed[1 : 1 + NONCE_BYTES], sealed[1 + NONCE_BYTES :]
        try:
            return self._cipher.decrypt(nonce, ciphertext, _associated_data(key, kind))
        except InvalidTag as error:
            raise SealError(
                f"a stored {kind} does not open with seal key {self.key_id}: it was sealed with another, or changed"
            ) from error

    def lookup_id(self, name: str) -> str:
        """Return the keyed hash (HMAC-SHA256, in hexadecimal digits) that a secret name is filed under."""
        return hmac.new(self._lookup_key, name.encode(errors="surrogatepass"), hashlib.sha256).hexdigest()


def _derive(key: SealKey, purpose: bytes) -> bytes:
    """Return a key for one purpose; the seal key is uniformly random, so that expanding is enough (RFC 5869, 3.3)."""
    return HKDFExpand(algorithm=hashes.SHA256(), length=KEY_BYTES, info=b"teleport " + purpose).derive(key.raw)


def _associated_data(key: str, kind: str) -> bytes:
    """Return both texts such that no other two give the same bytes: each is preceded by its length."""
    parts = (text.encode(errors="surrogatepass") for text in (key, kind))
    return b"".join(len(part).to_bytes(4, "big") + part for part in parts)
