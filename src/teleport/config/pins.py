"""CA pins as they are configured: values or files, one or several."""

import re

from teleport.config.value_file import load_value
from teleport.errors import BadParameter

_PIN = re.compile(r"sha256:[0-9a-f]{64}")


def load_pins(text: str) -> tuple[str, ...]:
    """Read one pin, or several with commas between them; each may be an absolute path to a file that holds one.

    Raises:
        BadParameter: something is no pin, or the file may not be read.
        NotFound: the file does not exist.
    """
    pins = tuple(load_value(part, what="a CA pin") for part in text.split(","))
    if not all(_PIN.fullmatch(pin) for pin in pins):
        raise BadParameter(
            "not a CA pin; expected sha256: and 64 lower-case hexadecimal digits, as `tctl status` shows it"
        )
    return pins
