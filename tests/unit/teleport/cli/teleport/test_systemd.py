import stat
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from teleport.cli.teleport.systemd import find_teleport, install_systemd, parse_unit_path
from teleport.errors import AlreadyExists, BadParameter

BINARY = "--teleport-path=/usr/local/bin/teleport"


def run(*args: str) -> Result:
    return CliRunner().invoke(install_systemd, list(args))


def test_the_unit_starts_teleport_with_the_host_and_after_failures() -> None:
    assert run(BINARY).stdout == (
        """\
[Unit]
Description=Teleport Service
After=network.target

[Service]
Type=simple
Restart=on-failure
RestartSec=5
EnvironmentFile=-/etc/default/teleport
ExecStart=/usr/local/bin/teleport start --config /etc/teleport.yaml --pid-file=/run/teleport.pid
ExecReload=/bin/sh -c "exec pkill -HUP -F /run/teleport.pid"
PIDFile=/run/teleport.pid
LimitNOFILE=524288

[Install]
WantedBy=multi-user.target
"""
    )


def test_every_value_can_be_chosen() -> None:
    unit = run(
        BINARY, "--config=/c.yaml", "--env-file=-/e", "--pid-file=/p.pid", "--fd-limit=1024", "-o", "stdout"
    ).stdout
    assert "ExecStart=/usr/local/bin/teleport start --config /c.yaml --pid-file=/p.pid\n" in unit
    assert "EnvironmentFile=-/e\n" in unit
    assert "LimitNOFILE=1024\n" in unit


@pytest.mark.parametrize("flag", ["--config", "--env-file", "--pid-file", "--teleport-path"])
@pytest.mark.parametrize(
    "value", ["/a\nExecStartPre=/bin/evil", "/a b", "/a%n", "/a$b", '/a"b', "/a;b", "a", "", "/" + "a" * 4096]
)
def test_a_value_that_could_say_more_than_a_path_is_a_usage_error(flag: str, value: str) -> None:
    assert run(BINARY, f"{flag}={value}").exit_code == 2


@pytest.mark.parametrize("value", ["0", "-1", "x", str((1 << 30) + 1)])
def test_a_limit_outside_its_bounds_is_a_usage_error(value: str) -> None:
    assert run(BINARY, f"--fd-limit={value}").exit_code == 2


def test_a_path_may_have_4096_characters() -> None:
    assert parse_unit_path("/" + "a" * 4095)


def test_the_unit_is_written_where_the_guide_says_and_may_be_read(tmp_path: Path) -> None:
    path = tmp_path / "teleport.service"
    assert run(BINARY, "-o", str(path)).output == ""
    assert stat.S_IMODE(path.stat().st_mode) == 0o644
    assert path.read_text().startswith("[Unit]")


def test_a_unit_that_exists_is_not_overwritten(tmp_path: Path) -> None:
    path = tmp_path / "teleport.service"
    path.write_text("mine")
    assert isinstance(run(BINARY, "-o", str(path)).exception, AlreadyExists)
    assert path.read_text() == "mine"


def test_the_program_that_runs_is_the_one_that_is_started(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "teleport"
    program.write_text("")
    monkeypatch.setattr(sys, "argv", [str(program)])
    assert find_teleport() == str(program)


def test_a_program_that_cannot_be_found_must_be_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["-c"])
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(BadParameter, match="--teleport-path"):
        find_teleport()
