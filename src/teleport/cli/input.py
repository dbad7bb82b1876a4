"""What a person hands over in a file or on the standard input: bounded, and text."""

from typing import BinaryIO

from teleport.errors import BadParameter, TooLarge


def read_text(file: BinaryIO, limit: int) -> str:
    """Return an input's text.

    Raises:
        TooLarge: it has more bytes than the limit.
        BadParameter: it is no UTF-8.
    """
    raw = file.read(limit + 1)
    if len(raw) > limit:
        raise TooLarge(f"the input is larger than {limit} bytes")
    try:
        return raw.decode()
    except UnicodeDecodeError as error:
        raise BadParameter("the input is not UTF-8 text") from error
