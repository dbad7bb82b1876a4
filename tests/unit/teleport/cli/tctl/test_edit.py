import os
import stat
import sys
from pathlib import Path

import pytest

from support.fake_cluster import FakeCluster, run_tctl, tctl_output
from teleport.cli.tctl.edit_file import EditFile, find_editor
from teleport.errors import BadParameter, CompareFailed, TeleportError
from teleport.resources.strict_yaml import MAX_BYTES

SECRET = "abcd123-insecure-do-not-use-this"
UNCHANGED = f'token "{SECRET}" was not changed\n'


@pytest.fixture
def cluster() -> FakeCluster:
    cluster = FakeCluster()
    cluster.add_token(SECRET)
    return cluster


@pytest.fixture(autouse=True)
def temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


class Editor:
    """Makes editors: programs that replace a text in the file, and leave notes of what they were given."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def replacing(self, old: str, new: str, *, status: int = 0) -> dict[str, str]:
        script = self._folder / "editor.py"
        script.write_text(f"""
import os, pathlib, sys
path = pathlib.Path(sys.argv[-1])
text = path.read_text()
here = pathlib.Path({str(self._folder)!r})
here.joinpath("shown").write_text(text)
here.joinpath("arguments").write_text(" ".join(sys.argv[1:]))
here.joinpath("mode").write_text(oct(path.stat().st_mode & 0o777) + oct(path.parent.stat().st_mode & 0o777))
path.write_text(text.replace({old!r}, {new!r}))
sys.exit({status})
""")
        return {"TELEPORT_EDITOR": f"{sys.executable} {script} --wait"}

    def note(self, name: str) -> str:
        return (self._folder / name).read_text()


@pytest.fixture
def editor(tmp_path: Path) -> Editor:
    return Editor(tmp_path)


def test_an_edit_is_stored_and_leaves_no_file(cluster: FakeCluster, editor: Editor, temporary_folder: Path) -> None:
    output = tctl_output(cluster, "edit", f"token/{SECRET}", env=editor.replacing("- Node", "- App"))
    assert output == f'token "{SECRET}" has been updated\n'
    assert cluster.resources["token", SECRET].model_dump()["spec"]["roles"] == ("App",)
    assert list(temporary_folder.iterdir()) == []


def test_the_editor_sees_the_secret_in_a_file_that_is_private_and_has_no_telling_name(
    cluster: FakeCluster, editor: Editor
) -> None:
    tctl_output(cluster, "edit", "token/" + "*" * 24 + "use-this", env=editor.replacing("", ""))
    assert SECRET in editor.note("shown")
    assert editor.note("mode") == "0o6000o700"
    assert SECRET not in editor.note("arguments")
    assert editor.note("arguments").startswith("--wait ")


def test_an_unchanged_file_updates_nothing(cluster: FakeCluster, editor: Editor, temporary_folder: Path) -> None:
    assert tctl_output(cluster, "edit", f"token/{SECRET}", env=editor.replacing("", "")) == UNCHANGED
    assert cluster.called("resources/update") == []
    assert list(temporary_folder.iterdir()) == []


def assert_kept(message: str, folder: Path, text: str) -> None:
    (kept,) = folder.glob("*/resource.yaml")
    assert str(kept) in message
    assert text in kept.read_text()
    assert stat.S_IMODE(os.stat(kept).st_mode) == 0o600  # noqa: PTH116 - of the file, whatever the folder


def test_a_change_elsewhere_refuses_the_edit_and_keeps_the_text(
    cluster: FakeCluster, editor: Editor, temporary_folder: Path
) -> None:
    cluster.fail("resources/update", CompareFailed("moved on"))
    error = run_tctl(cluster, "edit", f"token/{SECRET}", env=editor.replacing("- Node", "- App")).exception
    assert isinstance(error, CompareFailed)
    assert_kept(error.message, temporary_folder, "- App")


def test_the_revision_that_was_shown_is_what_the_update_asks_for(cluster: FakeCluster, editor: Editor) -> None:
    revision = cluster.resources["token", SECRET].metadata.revision
    env = editor.replacing(f"revision: '{revision}'", "description: changed")
    tctl_output(cluster, "edit", f"token/{SECRET}", env=env)
    (request,) = cluster.called("resources/update")
    assert request.model_dump()["resource"]["metadata"]["revision"] == revision


@pytest.mark.parametrize(
    ("old", "new", "reason"),
    [
        (SECRET, "another-name-0123456789", "cannot be renamed"),
        ("kind: token", "kind: token\nkind: token", "duplicate key"),
        ("- Node", "- Nonsense", "invalid role"),
        ("kind: token", "kind: token\nversion: v2\nmetadata: {}\n---\nkind: token", "2 resources"),
    ],
)
def test_an_edit_that_cannot_be_stored_is_refused_and_kept(
    cluster: FakeCluster, editor: Editor, temporary_folder: Path, old: str, new: str, reason: str
) -> None:
    error = run_tctl(cluster, "edit", f"token/{SECRET}", env=editor.replacing(old, new)).exception
    assert isinstance(error, TeleportError)
    assert_kept(error.message, temporary_folder, new)
    assert cluster.called("resources/update") == []
    assert reason in error.message


def test_an_editor_that_fails_changes_nothing(cluster: FakeCluster, editor: Editor, temporary_folder: Path) -> None:
    env = editor.replacing("- Node", "- App", status=3)
    assert "status 3" in str(run_tctl(cluster, "edit", f"token/{SECRET}", env=env).exception)
    assert cluster.called("resources/update") == []
    assert list(temporary_folder.iterdir()) == []


def test_an_editor_that_is_not_there_is_named(cluster: FakeCluster) -> None:
    error = run_tctl(cluster, "edit", f"token/{SECRET}", env={"TELEPORT_EDITOR": "/nonexistent/editor"}).exception
    assert isinstance(error, BadParameter)
    assert "/nonexistent/editor" in error.message


def test_the_first_variable_that_is_set_names_the_editor() -> None:
    everything = {"TELEPORT_EDITOR": "a --x", "VISUAL": "b", "EDITOR": "c"}
    assert find_editor(everything) == ["a", "--x"]
    assert find_editor({"VISUAL": "b", "EDITOR": "c"}) == ["b"]
    assert find_editor({"TELEPORT_EDITOR": " ", "EDITOR": "c"}) == ["c"]
    assert find_editor({}) == ["vi"]
    with pytest.raises(BadParameter, match="EDITOR"):
        find_editor({"EDITOR": "'"})


def test_a_text_is_bounded_when_it_is_read_back() -> None:
    with EditFile("x") as file:
        file.path.write_bytes(b"x" * MAX_BYTES)
        assert len(file.read()) == MAX_BYTES
        file.path.write_bytes(b"x" * (MAX_BYTES + 1))
        with pytest.raises(BadParameter, match="larger"):
            file.read()
        file.path.unlink()
        with pytest.raises(BadParameter, match="no text"):
            file.read()
