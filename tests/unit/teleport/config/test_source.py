import base64
import os
from pathlib import Path

import pytest

from teleport.config.source import Source, load_source
from teleport.errors import BadParameter, NotFound, TooLarge
from teleport.resources.strict_yaml import MAX_BYTES

TEXT = "version: v3\n"
ENCODED = base64.b64encode(TEXT.encode()).decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "teleport.yaml"
    path.write_text(TEXT)
    return path


def load(
    config: Path | None = None,
    config_string: str | None = None,
    environ: dict[str, str] | None = None,
    default: Path = Path("/missing/teleport.yaml"),
) -> Source | None:
    return load_source(config=config, config_string=config_string, environ=environ or {}, default_path=default)


def test_a_file_is_named_by_the_flag(file: Path) -> None:
    assert load(config=file) == Source(str(file), TEXT)


def test_a_file_that_was_named_must_exist() -> None:
    with pytest.raises(NotFound, match="does not exist"):
        load(config=Path("/missing/file"))
    with pytest.raises(NotFound):
        load(environ={"TELEPORT_CONFIG_FILE": "/missing/file"})


def test_the_default_file_may_be_absent(file: Path) -> None:
    assert load() is None
    assert load(default=file) == Source(str(file), TEXT)


def test_a_default_file_that_is_there_and_cannot_be_read_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(BadParameter, match="not a regular file"):
        load(default=tmp_path)


def test_a_configuration_comes_in_base64() -> None:
    assert load(config_string=ENCODED) == Source("--config-string", TEXT)
    assert load(environ={"TELEPORT_CONFIG": ENCODED[:4] + "\n" + ENCODED[4:]}) == Source("TELEPORT_CONFIG", TEXT)


def test_flags_win_over_the_environment(file: Path) -> None:
    environ = {"TELEPORT_CONFIG": base64.b64encode(b"other: 1").decode(), "TELEPORT_CONFIG_FILE": "/missing"}
    assert load(config=file, environ=environ) == Source(str(file), TEXT)
    assert load(config_string=ENCODED, environ=environ) == Source("--config-string", TEXT)


def test_an_empty_variable_says_that_there_is_no_file(file: Path) -> None:
    assert load(environ={"TELEPORT_CONFIG_FILE": ""}, default=file) is None
    assert load(environ={"TELEPORT_CONFIG": ""}, default=file) is not None


def test_two_configurations_are_one_too_many(file: Path) -> None:
    with pytest.raises(BadParameter, match="give one"):
        load(config=file, config_string=ENCODED)


@pytest.mark.parametrize("encoded", ["%%%", "YQ", "ä", "/w=="])
def test_what_is_no_text_in_base64_is_refused_unquoted(encoded: str) -> None:
    with pytest.raises(BadParameter, match="not a configuration in base64") as caught:
        load(config_string=encoded)
    assert encoded not in caught.value.message


def test_a_configuration_has_a_largest_size(tmp_path: Path) -> None:
    path = tmp_path / "teleport.yaml"
    path.write_bytes(b"#" * MAX_BYTES)
    assert load(config=path)
    path.write_bytes(b"#" * (MAX_BYTES + 1))
    with pytest.raises(TooLarge):
        load(config=path)
    with pytest.raises(TooLarge):
        load(config_string="A" * (2 * MAX_BYTES + 1))


def test_a_configuration_in_a_fifo_is_refused_without_waiting(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(BadParameter, match="not a regular file"):
        load(config=tmp_path / "fifo")


def test_the_text_is_not_in_the_repr() -> None:
    assert TEXT not in repr(Source("x", TEXT))
