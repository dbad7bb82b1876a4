"""Reads what a command is given as a file or on its standard input."""

from typing import BinaryIO

from teleport.errors import BadParameter, TooLarge
from teleport.resources.strict_yaml import MAX_BYTES


def read_text(file: BinaryIO) -> str:
    """Read a text of the size that resources may have.

    Raises:
        BadParameter: it is larger, or no UTF-8.
    """
    raw = file.read(MAX_BYTES + 1)
    if len(raw) > MAX_BYTES:
        raise TooLarge(f"the input is larger than {MAX_BYTES} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BadParameter("the input is not UTF-8 text") from error
