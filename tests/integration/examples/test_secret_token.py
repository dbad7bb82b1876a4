"""The example that `make run` runs, on this machine."""

import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from support.processes import PATIENCE, wait_until

SCRIPT = Path(__file__).parents[3] / "examples" / "01-secret-token" / "run.py"


def run_once(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(SCRIPT), "--folder", str(folder), "--once"]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)


@contextmanager
def staying(folder: Path) -> Iterator[tuple[subprocess.Popen[bytes], Path]]:
    """Run the example in the foreground of a terminal of its own; yield it when the cluster has been shown."""
    output = folder.with_suffix(".log")
    with output.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, SCRIPT, "--folder", folder], stdout=log, stderr=log, start_new_session=True
        )
    try:
        wait_until(lambda: "Ctrl-C stops it." in output.read_text(), "the cluster is shown")
        yield process, output
    finally:
        process.terminate()
        process.wait(PATIENCE)


def test_it_shows_a_join_and_a_second_run_needs_none(tmp_path: Path) -> None:
    folder = tmp_path / "a folder: #1"

    first = run_once(folder)
    second = run_once(folder)

    assert (first.returncode, first.stderr) == (0, "")
    for shown in ("The invite token: ", "$ tctl status\n", "$ tctl tokens ls\n", "$ tctl nodes ls\n", "example-node "):
        assert shown in first.stdout
    assert (second.returncode, second.stderr) == (0, "")
    assert "needs no token" in second.stdout
    assert "The invite token: " not in second.stdout


def test_its_commands_work_elsewhere_until_ctrl_c_stops_it(tmp_path: Path) -> None:
    with staying(tmp_path / "state") as (process, output):
        commands = [line.strip() for line in output.read_text().splitlines() if line.startswith("  /")]
        assert len(commands) == 4
        for command in commands:
            subprocess.run(shlex.split(command), check=True, capture_output=True, timeout=PATIENCE)

        os.killpg(process.pid, signal.SIGINT)

        assert process.wait(PATIENCE) == 0
        assert output.read_text().endswith("==> stopping the SSH service\n==> stopping the auth server\n")


def test_a_second_run_beside_the_first_is_refused(tmp_path: Path) -> None:
    with staying(tmp_path / "state"):
        second = run_once(tmp_path / "state")
    assert second.returncode == 1
    assert "another run uses" in second.stderr


def test_a_failure_shows_the_end_of_the_log(tmp_path: Path) -> None:
    backend = tmp_path / "auth" / "backend"
    backend.mkdir(parents=True)
    backend.chmod(0o755)

    done = run_once(tmp_path)

    assert done.returncode == 1
    assert "the auth server does not become ready" in done.stderr
    assert f"run chmod 700 {backend}" in done.stderr
