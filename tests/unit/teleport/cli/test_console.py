import subprocess
import sys
from collections.abc import Callable

import click
import pytest

from teleport.cli.console import Invocation, run
from teleport.errors import NotFound


def run_callback(
    monkeypatch: pytest.MonkeyPatch, callback: Callable[[], object], *args: str, debug: bool = False
) -> int:
    monkeypatch.setattr(sys, "argv", ["tool", *args])
    return run(click.Command("tool", callback=callback), name="tool", invocation=Invocation(debug=debug))


def refuse() -> None:
    raise NotFound("token 'x\n\x1b[2J' not found")


def interrupt() -> None:
    raise KeyboardInterrupt


def fill_the_disk() -> None:
    raise OSError(28, "No space left on device")


def test_a_command_that_ends_well_gives_0(monkeypatch: pytest.MonkeyPatch) -> None:
    assert run_callback(monkeypatch, lambda: None) == 0


def test_an_error_of_ours_is_one_safe_line_on_stderr(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_callback(monkeypatch, refuse) == 1
    captured = capsys.readouterr()
    assert captured.out == ""
    assert captured.err == "ERROR: token 'x\\n\\x1b[2J' not found\n"


def test_debug_shows_the_trace(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_callback(monkeypatch, refuse, debug=True) == 1
    error = capsys.readouterr().err
    assert "Traceback" in error
    assert "ERROR: " in error


def test_a_usage_error_gives_2(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_callback(monkeypatch, lambda: None, "--nonsense") == 2
    assert "No such option" in capsys.readouterr().err


def test_ctrl_c_gives_130(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert run_callback(monkeypatch, interrupt) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_an_error_of_the_system_is_one_line(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_callback(monkeypatch, fill_the_disk) == 1
    assert capsys.readouterr().err.startswith("ERROR: ")


@pytest.mark.parametrize("size", [10, 1_000_000])
def test_a_closed_pipe_is_quiet(size: int) -> None:
    code = f"""
import sys, click
from teleport.cli.console import Invocation, run
sys.stdin.read()
command = click.Command("tool", callback=lambda: click.echo("x" * {size}))
sys.exit(run(command, name="tool", invocation=Invocation()))
"""
    process = subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    assert process.stdin
    assert process.stdout
    assert process.stderr
    process.stdout.close()
    process.stdin.close()
    assert process.stderr.read() == b""
    assert process.wait() == 1
    process.stderr.close()
