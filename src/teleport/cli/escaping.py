"""Foreign text made safe to print: what could steer a terminal or forge a line is shown instead of acted on."""

import re

UNSAFE = re.compile(
    "["
    "\x00-\x1f\x7f-\x9f"  # control characters, the escape that starts a terminal's commands among them
    "\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"  # marks that turn the direction of the text around them
    "\u2028\u2029"  # line and paragraph separators
    "\ud800-\udfff"  # halves of characters, which no output can encode
    "]"
)


def escape(text: str) -> str:
    r"""Return the text on one line with unsafe characters written out, as in `\x1b`."""
    return UNSAFE.sub(lambda match: match.group().encode("unicode_escape").decode("ascii"), text)
