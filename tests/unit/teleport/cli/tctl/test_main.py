import subprocess
import sys
from collections.abc import Iterator

import click
import pytest
from click.testing import CliRunner

from support.fake_cluster import FakeCluster, run_tctl, tctl_output
from teleport.cli.lazy import LazyGroup
from teleport.cli.tctl.main import tctl
from teleport.cli.tctl.session import Session, TctlCommand

HEAVY = (
    "aiohttp",
    "asyncio",
    "cryptography",
    "orjson",
    "pydantic",
    "ssl",
    "uvloop",
    "yaml",
    "socket",
    "json",
    "subprocess",
)


def walk(command: click.Command, path: str = "tctl") -> Iterator[tuple[str, click.Command]]:
    yield path, command
    if isinstance(command, LazyGroup):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from walk(found, f"{path} {name}")


COMMANDS = dict(walk(tctl))


def test_version_is_one_line() -> None:
    assert tctl_output(FakeCluster(), "version") == "Teleport v1.0.0 (compatible with Teleport 18)\n"


@pytest.mark.parametrize("arguments", ["version", "--help-me"])
def test_what_needs_no_cluster_loads_nothing_heavy(arguments: str) -> None:
    code = f"""
import sys
from teleport.cli.tctl.main import main
sys.argv = ["tctl", {arguments!r}]
try:
    main()
except SystemExit:
    print(*sorted({{name.partition(".")[0] for name in sys.modules}}))
    print(*sorted(name for name in sys.modules if name.startswith("teleport")))
"""
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    loaded, ours = (line.split() for line in result.stdout.splitlines()[-2:])
    assert not set(loaded) & set(HEAVY)
    assert len(ours) <= 16, ours


@pytest.mark.parametrize("path", COMMANDS)
def test_every_command_teaches(path: str) -> None:
    command = COMMANDS[path]
    result = run_tctl(FakeCluster(), *path.split()[1:], "--help")
    assert result.exit_code == 0
    assert command.get_short_help_str()
    if isinstance(command, TctlCommand):
        assert command.examples
        assert all(example in result.output for example in command.examples)
        assert any(path in example for example in command.examples)


def test_every_option_has_a_help_text() -> None:
    for path, command in COMMANDS.items():
        for param in command.params:
            assert not isinstance(param, click.Option) or param.hidden or param.help, (path, param.name)


@pytest.mark.parametrize("after", [False, True])
def test_global_flags_stand_before_or_after_the_command(after: bool) -> None:
    cluster = FakeCluster()
    flags = ["-c", "x.yaml", "--auth-server=192.0.2.1:3025", "-i", "me.identity"]
    command = ["tokens", "ls"]
    tctl_output(cluster, *([*command, *flags] if after else [*flags, *command]))
    assert cluster.flags
    assert (cluster.flags.config, cluster.flags.auth_server, cluster.flags.identity) == (
        "x.yaml",
        "192.0.2.1:3025",
        "me.identity",
    )
    assert (cluster.flags.proxy, cluster.flags.insecure) == (None, False)


def test_a_proxy_is_a_global_flag_too() -> None:
    cluster = FakeCluster()
    tctl_output(cluster, "--proxy=proxy.example.com:443", "--insecure", "tokens", "ls")
    assert cluster.flags
    assert (cluster.flags.proxy, cluster.flags.insecure) == ("proxy.example.com:443", True)


def test_debug_stands_before_or_after_the_command_too() -> None:
    for args in (["-d", "version"], ["version", "--debug"]):
        session = Session()
        assert CliRunner().invoke(tctl, args, obj=session).exit_code == 0
        assert session.debug


@pytest.mark.parametrize("args", [["nonsense"], ["tokens", "nonsense"], ["--nonsense"]])
def test_what_is_not_known_is_a_usage_error(args: list[str]) -> None:
    assert run_tctl(FakeCluster(), *args).exit_code == 2
