from pathlib import Path

import pytest

from teleport.cli.teleport.destination import parse_destination, write_new_file
from teleport.errors import BadParameter

DEFAULT = Path("/etc/teleport.yaml")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("stdout", None),
        ("stdout://", None),
        ("file", DEFAULT),
        ("file://", DEFAULT),
        ("file:///a/b%20c", Path("/a/b c")),
        ("/a/b", Path("/a/b")),
    ],
)
def test_a_destination_is_stdout_or_a_file(text: str, expected: Path | None) -> None:
    assert parse_destination(text, default_file=DEFAULT) == expected


@pytest.mark.parametrize("text", ["", "a/b", "file://host/a", "file:/a", "http:///a", "stdout:///a", "file:///a%00b"])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="expected stdout, file"):
        parse_destination(text, default_file=DEFAULT)


def test_a_folder_that_may_not_be_written_to_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_args: object, **_kwargs: object) -> None:
        raise PermissionError

    monkeypatch.setattr("teleport.cli.teleport.destination.write_private_file", refuse)
    with pytest.raises(BadParameter, match="permission denied; try again with sudo"):
        write_new_file(tmp_path / "x", "", mode=0o600)
