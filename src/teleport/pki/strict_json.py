"""JSON in which nothing can be read in two ways (RFC 8259, 4, 6 and 8), and which costs little to refuse.

It is UTF-8; a name stands once in an object; numbers are whole; texts are Unicode; nesting is bounded before anything
is built. The caller bounds the size.
"""

import json
import re
from typing import Any, NoReturn

from teleport.errors import BadParameter

MAX_DEPTH = 8
_MAX_DIGITS = 19
"""As many as a signed number of 64 bits has; the sign counts as one."""

_BRACKETS = re.compile(r'"(?:[^"\\]++|\\.)*+"?|([\[{\]}])', re.DOTALL)
"""Brackets outside of texts; a text is passed over in one go, ended or not, so that the time is linear."""
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}


def parse_json_object(raw: bytes | str, *, what: str) -> dict[str, Any]:
    """Read one object.

    Raises:
        BadParameter: it is no object, ambiguous, or nested deeper than `MAX_DEPTH`; the message has no word of it.
    """
    try:
        text = raw if isinstance(raw, str) else raw.decode("utf-8")
        _check_depth(text)
        data = _DECODER.decode(text)
        _check_unicode(text, data)
    except ValueError as error:
        raise BadParameter(f"{what} is not a plain JSON object") from error
    if not isinstance(data, dict):
        raise BadParameter(f"{what} is not a JSON object")
    return data


def _check_depth(text: str) -> None:
    depth = 0
    for match in _BRACKETS.finditer(text):
        if match[1]:
            depth += _STEPS[match[1]]
            if depth > MAX_DEPTH:
                raise ValueError("nested too deeply")


def _check_unicode(text: str, data: object) -> None:
    """Refuse half a character, which an escape can make, and which breaks whoever writes the text down."""
    if "\\u" in text or not text.isascii():
        json.dumps(data, ensure_ascii=False).encode("utf-8")


def _build_object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    built = dict(pairs)
    if len(built) != len(pairs):
        raise ValueError("a name stands twice")
    return built


def _parse_int(digits: str) -> int:
    if len(digits) > _MAX_DIGITS:
        raise ValueError("too large a number")
    return int(digits)


def _refuse_number(_: str) -> NoReturn:
    raise ValueError("not a whole number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_build_object, parse_int=_parse_int, parse_float=_refuse_number, parse_constant=_refuse_number
)
