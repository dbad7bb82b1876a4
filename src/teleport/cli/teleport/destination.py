"""Where a command's output goes: to stdout, or to a file that does not exist yet."""

from pathlib import Path
from urllib.parse import unquote, urlsplit

import click

from teleport.errors import AlreadyExists, BadParameter
from teleport.private_file import write_private_file

STDOUT = "stdout"
FILE = "file"


def parse_destination(text: str, *, default_file: Path) -> Path | None:
    """Read `stdout`, `file`, `file:///path`, `stdout://` or an absolute path; None means stdout.

    Args:
        text: what was typed.
        default_file: what `file` alone means.

    Raises:
        BadParameter: anything else.
    """
    if text in (STDOUT, f"{STDOUT}://"):
        return None
    if text in (FILE, f"{FILE}://"):
        return default_file
    if text.startswith("/"):
        return Path(text)
    parts = urlsplit(text) if text.startswith(f"{FILE}:///") else None
    if parts is None or "\0" in unquote(parts.path):
        raise BadParameter("expected stdout, file, or file:///path/to/file")
    return Path(unquote(parts.path))


def write_new_file(path: Path, content: str, *, mode: int) -> None:
    """Write a file at once or not at all; one that is there already is left alone.

    Raises:
        AlreadyExists: the file exists.
        BadParameter: the folder is missing or not for this user.
    """
    try:
        write_private_file(path, content.encode(), overwrite=False)
        path.chmod(mode)
    except FileExistsError as error:
        raise AlreadyExists(
            f"{path} exists already and is left as it is; move it away or choose another file"
        ) from error
    except PermissionError as error:
        raise BadParameter(f"cannot write {path}: permission denied; try again with sudo") from error
    except (OSError, ValueError) as error:
        raise BadParameter(f"cannot write {path}: {getattr(error, 'strerror', None) or 'not a path'}") from error


def write_stdout(content: str) -> None:
    """Print the content as it is."""
    click.echo(content, nl=not content.endswith("\n"))
