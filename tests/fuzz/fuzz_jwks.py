"""Feeds key sets of every shape to their reader: it refuses them, or reads a set that has a key."""

import sys

import atheris

with atheris.instrument_imports(include=["teleport"]):
    from teleport.errors import BadParameter
    from teleport.pki.jwks import MAX_KEYS, parse_jwks


def try_key_set(data: bytes) -> None:
    """Read the bytes as a key set."""
    try:
        keys = parse_jwks(data.decode("utf-8", "surrogateescape")).keys
    except BadParameter:
        return
    assert 0 < len(keys) <= MAX_KEYS, "a key set out of its bounds was read"


if __name__ == "__main__":
    atheris.Setup(sys.argv, try_key_set)
    atheris.Fuzz()
