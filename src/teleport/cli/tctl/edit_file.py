"""A private file for an editor; it holds secrets, so nobody else can read it and it does not stay."""

import os
import shlex
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

from teleport.errors import BadParameter, TooLarge
from teleport.resources.strict_yaml import MAX_BYTES

EDITOR_VARIABLES = ("TELEPORT_EDITOR", "VISUAL", "EDITOR")
DEFAULT_EDITOR = "vi"


def find_editor(environ: Mapping[str, str]) -> list[str]:
    """Return the editor's command as words.

    Raises:
        BadParameter: the variable's quotes do not match.
    """
    for variable in EDITOR_VARIABLES:
        try:
            words = shlex.split(environ.get(variable, ""))
        except ValueError as error:
            raise BadParameter(f"{variable} is no command: {error}") from error
        if words:
            return words
    return [DEFAULT_EDITOR]


class EditFile:
    """A text in a file of its own, for the time of a block.

    Neither the folder nor the file has a telling name: both appear in the list of processes.

    Args:
        text: what the editor shows.
    """

    def __init__(self, text: str) -> None:
        self._text = text
        self._keep = False
        self._folder = Path(tempfile.mkdtemp(prefix="tctl-edit-"))
        self.path = self._folder / "resource.yaml"

    def __enter__(self) -> Self:
        descriptor = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.write(self._text)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._keep:
            shutil.rmtree(self._folder, ignore_errors=True)

    def open_editor(self) -> None:
        """Let the person edit, and wait until that is done.

        Raises:
            BadParameter: the editor cannot be started, or says that it failed.
        """
        command = find_editor(os.environ)
        try:
            status = subprocess.run([*command, str(self.path)], check=False).returncode  # noqa: S603 - the person's own editor
        except OSError as error:
            raise BadParameter(f"cannot start the editor {command[0]}: {error.strerror}; set EDITOR") from error
        if status != 0:
            raise BadParameter(f"the editor {command[0]} ended with status {status}; nothing was changed")

    def is_changed(self) -> bool:
        """Tell whether the text is another than at the start."""
        return self.read() != self._text

    def read(self) -> str:
        """Return the text as it is now.

        Raises:
            TooLarge: it has grown beyond what a resource may be.
            BadParameter: it is gone, or no text.
        """
        try:
            with self.path.open("rb") as file:
                raw = file.read(MAX_BYTES + 1)
            text = raw.decode()
        except (OSError, UnicodeDecodeError) as error:
            raise BadParameter("the editor left no text that can be read") from error
        if len(raw) > MAX_BYTES:
            raise TooLarge(f"the text is larger than {MAX_BYTES} bytes")
        return text

    def keep(self) -> Path:
        """Leave the file where it is, and return where."""
        self._keep = True
        return self.path
