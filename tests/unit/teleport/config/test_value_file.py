import os
from pathlib import Path

import pytest

from teleport.config.value_file import (
    MAX_VALUE_BYTES,
    is_file_reference,
    load_join_token,
    load_lines,
    load_value,
    read_regular_file,
)
from teleport.errors import BadParameter, NotFound, TooLarge

SECRET = "a-secret-token-value"


@pytest.fixture
def warned() -> list[str]:
    return []


@pytest.fixture
def token_file(tmp_path: Path) -> Path:
    path = tmp_path / "token"
    path.write_text(f"  {SECRET}\n\n")
    path.chmod(0o600)
    return path


def load(text: object, warned: list[str]) -> str:
    return load_value(str(text), what="a token", warn=warned.append)


def test_an_absolute_path_means_the_files_content_trimmed(token_file: Path, warned: list[str]) -> None:
    assert load(token_file, warned) == SECRET
    assert warned == []


def test_a_relative_path_is_the_value_itself(warned: list[str]) -> None:
    assert load("./token", warned) == "./token"
    assert not is_file_reference("token")


def test_hostile_32_a_path_with_dots_means_what_it_resolves_to(token_file: Path, warned: list[str]) -> None:
    (token_file.parent / "sub").mkdir()
    assert load(f"{token_file.parent}/sub/../token", warned) == SECRET


def test_hostile_32_a_link_to_a_regular_file_is_followed(token_file: Path, warned: list[str]) -> None:
    link = token_file.parent / "link"
    link.symlink_to(token_file)
    assert load(link, warned) == SECRET


def test_hostile_32_a_link_to_a_device_is_refused(tmp_path: Path, warned: list[str]) -> None:
    link = tmp_path / "link"
    link.symlink_to("/dev/zero")
    with pytest.raises(BadParameter, match="not a regular file"):
        load(link, warned)


def test_hostile_32_a_loop_of_links_is_refused(tmp_path: Path, warned: list[str]) -> None:
    (tmp_path / "a").symlink_to(tmp_path / "b")
    (tmp_path / "b").symlink_to(tmp_path / "a")
    with pytest.raises(BadParameter, match="cannot be read"):
        load(tmp_path / "a", warned)


def test_hostile_32_a_fifo_is_refused_without_waiting_for_its_writer(tmp_path: Path, warned: list[str]) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(BadParameter, match="not a regular file"):
        load(tmp_path / "fifo", warned)


@pytest.mark.parametrize("path", ["/dev/zero", "/dev/null", "/", "/proc/self"])
def test_hostile_32_devices_and_folders_are_refused(path: str, warned: list[str]) -> None:
    with pytest.raises(BadParameter, match="not a regular file"):
        load(path, warned)


def test_hostile_32_a_missing_file_is_refused_by_name(tmp_path: Path, warned: list[str]) -> None:
    with pytest.raises(NotFound, match="token' does not exist"):
        load(tmp_path / "token", warned)


def test_hostile_32_a_secret_that_everybody_may_read_is_warned_of(token_file: Path, warned: list[str]) -> None:
    token_file.chmod(0o644)
    assert load(token_file, warned) == SECRET
    assert len(warned) == 1
    assert "readable by everybody" in warned[0]
    assert SECRET not in warned[0]


def test_a_value_that_is_no_secret_may_be_readable_by_everybody(token_file: Path) -> None:
    token_file.chmod(0o644)
    assert load_value(str(token_file), what="a CA pin") == SECRET


def test_hostile_32_reading_is_bounded(tmp_path: Path, warned: list[str]) -> None:
    path = tmp_path / "token"
    path.write_text("a" * MAX_VALUE_BYTES)
    path.chmod(0o600)
    assert len(load(path, warned)) == MAX_VALUE_BYTES
    path.write_text("a" * (MAX_VALUE_BYTES + 1))
    with pytest.raises(TooLarge, match="larger than 4096 bytes"):
        load(path, warned)


def test_a_file_without_a_value_is_refused(token_file: Path, warned: list[str]) -> None:
    token_file.write_text(" \n\n")
    with pytest.raises(BadParameter, match="is empty"):
        load(token_file, warned)


def test_several_lines_are_no_single_value_and_are_not_quoted(token_file: Path, warned: list[str]) -> None:
    token_file.write_text("first-secret\nsecond-secret\n")
    with pytest.raises(BadParameter, match="holds 2 lines") as caught:
        load(token_file, warned)
    assert "secret" not in caught.value.message


def test_lines_are_trimmed_and_blank_ones_dropped(token_file: Path, warned: list[str]) -> None:
    token_file.write_text("one\n\n  two  \r\n")
    assert load_lines(str(token_file), what="a token", warn=warned.append) == ("one", "two")


def test_bytes_that_are_no_text_are_refused(token_file: Path, warned: list[str]) -> None:
    token_file.write_bytes(b"\xff\xfe")
    with pytest.raises(BadParameter, match="not UTF-8"):
        load(token_file, warned)


def test_a_path_that_cannot_be_one_is_refused(warned: list[str]) -> None:
    with pytest.raises(BadParameter, match="not a path"):
        load("/etc/\0", warned)
    with pytest.raises(BadParameter, match="cannot be read"):
        load("/" + "a" * 300, warned)


def test_a_file_that_turns_into_something_else_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    regular, fifo = tmp_path / "regular", tmp_path / "fifo"
    regular.write_text("x")
    os.mkfifo(fifo)
    opened = os.open
    monkeypatch.setattr(os, "open", lambda _path, flags: opened(fifo, flags))
    with pytest.raises(BadParameter, match="not a regular file"):
        read_regular_file(regular, 10)


def test_a_join_token_whose_file_is_gone_is_no_token_and_a_warning(tmp_path: Path, warned: list[str]) -> None:
    assert load_join_token(str(tmp_path / "gone"), warn=warned.append) is None
    assert "does not exist" in warned[0]


def test_a_join_token_with_a_control_character_is_refused(token_file: Path, warned: list[str]) -> None:
    token_file.write_text("abc\x1bdef")
    with pytest.raises(BadParameter, match="control character"):
        load_join_token(str(token_file), warn=warned.append)
