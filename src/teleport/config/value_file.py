"""Values that may live in a file: an absolute path means the file's content, anything else is the value itself."""

import os
import stat
from collections.abc import Callable
from pathlib import Path

from teleport.errors import BadParameter, NotFound, TooLarge
from teleport.resources.model import check_name

MAX_VALUE_BYTES = 4096

Warn = Callable[[str], None]
"""Takes a sentence for the operator; it is no reason to refuse."""


def load_value(text: str, *, what: str, warn: Warn | None = None) -> str:
    """Return the value, trimmed; from a file it is one line.

    Args:
        text: the value, or an absolute path.
        what: how messages call the value, as `a join token`.
        warn: for secrets only; it hears of files that everybody may read.

    Raises:
        BadParameter: the file is empty, holds several lines, or is no file that may be read.
        NotFound: there is no such file.
    """
    if not is_file_reference(text):
        return text.strip()
    lines = load_lines(text, what=what, warn=warn)
    if len(lines) > 1:
        raise BadParameter(f"the file {text[:256]!r} holds {len(lines)} lines; {what} is one line")
    return lines[0]


def load_join_token(text: str, *, warn: Warn) -> str | None:
    """Return the name of the token to join with; None if it stands in a file that is no longer there.

    A process that has joined does not need its token again, and removing the file then is good practice.

    Raises:
        BadParameter: the token or its file is not usable.
    """
    try:
        token = load_value(text, what="a join token", warn=warn)
    except NotFound as error:
        warn(f"{error.message}; a process that has joined before does not need it, any other cannot join")
        return None
    check_name(token, "the join token")
    return token


def is_file_reference(text: str) -> bool:
    """Tell whether the text names a file: only an absolute path does."""
    return text.strip().startswith("/")


def load_lines(text: str, *, what: str, warn: Warn | None = None) -> tuple[str, ...]:
    """Return the lines of the file, trimmed and without the blank ones, of which there is at least one.

    Raises:
        BadParameter: the file is empty, or no file that may be read.
        NotFound: there is no such file.
    """
    path = Path(os.path.normpath(text.strip()))
    content, mode = _read_regular_file(path, MAX_VALUE_BYTES)
    if warn is not None and mode & stat.S_IROTH:
        warn(f"the file {str(path)!r} with {what} is readable by everybody; do: chmod 600 {path}")
    lines = tuple(line.strip() for line in content.splitlines() if line.strip())
    if not lines:
        raise BadParameter(f"the file {str(path)!r} is empty; it should hold {what}")
    return lines


def read_regular_file(path: Path, limit: int) -> str:
    """Return a file's text.

    Raises:
        BadParameter: no regular file (a link must lead to one), no UTF-8, or it may not be read.
        TooLarge: it has more bytes than the limit.
        NotFound: there is no such file.
    """
    return _read_regular_file(path, limit)[0]


def _read_regular_file(path: Path, limit: int) -> tuple[str, int]:
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # before it is opened: opening a device may already do something
            raise BadParameter(f"{str(path)!r} is not a regular file")
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            mode = os.fstat(file.fileno()).st_mode
            content = file.read(limit + 1) if stat.S_ISREG(mode) else b""
    except FileNotFoundError as error:
        raise NotFound(f"the file {str(path)!r} does not exist") from error
    except OSError as error:
        raise BadParameter(f"the file {str(path)!r} cannot be read: {error.strerror}") from error
    except ValueError as error:
        raise BadParameter(f"{str(path)[:256]!r} is not a path") from error
    if not stat.S_ISREG(mode):
        raise BadParameter(f"{str(path)!r} is not a regular file")
    if len(content) > limit:
        raise TooLarge(f"the file {str(path)!r} is larger than {limit} bytes")
    return _decode(content, path), mode


def _decode(content: bytes, path: Path) -> str:
    try:
        return content.decode()
    except UnicodeDecodeError as error:
        raise BadParameter(f"the file {str(path)!r} is not UTF-8 text") from error
