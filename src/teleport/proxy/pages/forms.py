"""Bodies of forms as browsers send them, read strictly: every field once, none that is not asked for."""

import re
from collections.abc import Mapping
from urllib.parse import parse_qsl

from teleport.errors import BadParameter

FORM = "application/x-www-form-urlencoded"
MAX_FORM = 4096
"""Bytes; the longest field is a password, of 128 bytes that are each written as three."""
# What a browser writes (WHATWG URL, 5.2), and the tilde, which tools leave as it is.
_ENCODED = re.compile(rb"(?:[A-Za-z0-9*._~+&=-]|%[0-9A-Fa-f]{2})*")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


def parse_form(body: bytes, fields: frozenset[str]) -> Mapping[str, str]:
    """Return the values by name.

    Args:
        body: what was sent.
        fields: the names that must be there, each once.

    Raises:
        BadParameter: the encoding is not sound, a name is missing, repeated or unknown, or a value has control
            characters.
    """
    if not _ENCODED.fullmatch(body):
        raise BadParameter("the form is not encoded as a browser does it")
    try:
        pairs = parse_qsl(body.decode("ascii"), keep_blank_values=True, strict_parsing=True, errors="strict")
    except ValueError as error:
        raise BadParameter("the form is not encoded as a browser does it") from error
    found = dict(pairs)
    if len(pairs) != len(found) or found.keys() != fields:
        raise BadParameter("the form has other fields than were asked for; open the page again")
    if any(_CONTROL.search(value) for value in found.values()):
        raise BadParameter("the form has control characters in it")
    return found
