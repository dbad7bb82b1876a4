"""Clients of other versions, as real processes that say they are of one."""

import subprocess
import sys
from pathlib import Path

from support.cluster import AgentFactory, AuthServer
from support.processes import PATIENCE, build_environment
from teleport.version import VERSION

POSE = "import teleport.version; teleport.version.VERSION = {version!r}; from {module} import main; main()"


def run_tctl(auth: AuthServer, version: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a `tctl` that says it is of another version."""
    program = POSE.format(version=version, module="teleport.cli.tctl.main")
    return subprocess.run(
        [sys.executable, "-c", program, f"--config={auth.config}", *arguments],
        env=build_environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_a_tool_of_the_next_major_version_is_served(auth: AuthServer) -> None:
    assert run_tctl(auth, "2.0.0", "status").returncode == 0


def test_a_tool_two_major_versions_away_is_refused_with_both_numbers(auth: AuthServer) -> None:
    done = run_tctl(auth, "3.0.0", "status")
    assert done.returncode == 1
    assert "'3.0.0'" in done.stderr
    assert f"'{VERSION}'" in done.stderr
    assert "--skip-version-check" in done.stderr


def test_told_so_it_goes_on_with_a_warning(auth: AuthServer) -> None:
    done = run_tctl(auth, "3.0.0", "--skip-version-check", "status")
    assert done.returncode == 0
    assert done.stderr.startswith("WARNING: the cluster may be too old or too new for this tool, version 3.0.0")


def test_an_agent_two_major_versions_away_ends_and_joins_only_if_told_so(
    auth: AuthServer, make_agent: AgentFactory, pin: str, tmp_path: Path
) -> None:
    agent = make_agent(auth, f"--token={auth.add_token()}", f"--ca-pin={pin}", name="ahead")
    program = tmp_path / "pose.py"
    begin = "import sys; del sys.argv[1]; "  # the name of the program that it poses as
    program.write_text(begin + POSE.format(version="3.0.0", module="teleport.cli.teleport.main"))
    agent.runner = (sys.executable, str(program))
    agent.start()
    assert agent.process.wait_for_end() == 1
    assert f"'3.0.0' and the cluster of '{VERSION}'" in agent.process.log
    assert auth.list_joins("ahead") == []
    agent.start(*agent.flags, "--skip-version-check").wait_until_ready()
    assert "joining nevertheless" in agent.process.log
    assert auth.list_joins("ahead") == [True]
