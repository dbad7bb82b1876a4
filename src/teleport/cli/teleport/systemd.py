"""`teleport install systemd`."""

import re
import shutil
import sys
from functools import partial
from pathlib import Path

import click

from teleport.cli.command import Command
from teleport.cli.params import parsed
from teleport.cli.teleport.destination import parse_destination, write_new_file, write_stdout
from teleport.config.settings import DEFAULT_CONFIG_PATH
from teleport.errors import BadParameter

UNIT_PATH = Path("/etc/systemd/system/teleport.service")
UNIT_MODE = 0o644
MAX_FD_LIMIT = 1 << 30

_UNIT = """\
[Unit]
Description=Teleport Service
After=network.target

[Service]
Type=simple
Restart=on-failure
RestartSec=5
EnvironmentFile=-{env_file}
ExecStart={teleport} start --config {config} --pid-file={pid_file}
ExecReload=/bin/sh -c "exec pkill -HUP -F {pid_file}"
PIDFile={pid_file}
LimitNOFILE={fd_limit}

[Install]
WantedBy=multi-user.target
"""

_PATH = re.compile(r"/[A-Za-z0-9_./+@:,-]{0,4095}")


def parse_unit_path(text: str) -> str:
    """Read a path that means the same to systemd and to a shell: without blanks, quotes, `%`, `$` or line ends.

    Raises:
        BadParameter: it is not absolute, or holds another character.
    """
    if not _PATH.fullmatch(text):
        raise BadParameter("expected an absolute path of letters, digits and . _ - + @ : , alone")
    return text


def parse_env_file(text: str) -> str:
    """Read the environment file's path; systemd's leading `-` (the file may be absent) is what the unit says anyway.

    Raises:
        BadParameter: as `parse_unit_path`.
    """
    return parse_unit_path(text.removeprefix("-"))


def find_teleport() -> str:
    """Return where this program is.

    Raises:
        BadParameter: it was not started as `teleport`, and none is on the path.
    """
    started = Path(sys.argv[0]).absolute()
    found = str(started) if started.name == "teleport" and started.is_file() else shutil.which("teleport")
    if found is None:
        raise BadParameter("cannot tell where teleport is installed; give --teleport-path")
    return parse_unit_path(found)


def render_unit(*, teleport: str, config: str, env_file: str, pid_file: str, fd_limit: int) -> str:
    """Write the unit; every value has been parsed."""
    return _UNIT.format(teleport=teleport, config=config, env_file=env_file, pid_file=pid_file, fd_limit=fd_limit)


@click.command(
    "systemd",
    cls=Command,
    examples=[
        f"sudo teleport install systemd -o {UNIT_PATH}",
        "sudo systemctl enable --now teleport",
    ],
)
@click.option(
    "-o",
    "--output",
    "destination",
    default="stdout",
    show_default=True,
    callback=parsed(partial(parse_destination, default_file=UNIT_PATH)),
    help=f"Where to write: stdout, file ({UNIT_PATH}), or a path.",
)
@click.option(
    "-c",
    "--config",
    default=str(DEFAULT_CONFIG_PATH),
    show_default=True,
    callback=parsed(parse_unit_path),
    help="Configuration file.",
)
@click.option(
    "--env-file",
    default="/etc/default/teleport",
    show_default=True,
    callback=parsed(parse_env_file),
    help="File with environment variables; it may be absent.",
)
@click.option(
    "--pid-file",
    default="/run/teleport.pid",
    show_default=True,
    callback=parsed(parse_unit_path),
    help="Where the process writes its number.",
)
@click.option(
    "--fd-limit",
    type=click.IntRange(1, MAX_FD_LIMIT),
    default=524288,
    show_default=True,
    help="How many files and connections may be open.",
)
@click.option("--teleport-path", callback=parsed(parse_unit_path), help="Where teleport is installed.")
def install_systemd(
    *,
    destination: Path | None,
    config: str,
    env_file: str,
    pid_file: str,
    fd_limit: int,
    teleport_path: str | None,
) -> None:
    """Write a systemd unit that starts Teleport with the host and again when it fails."""
    unit = render_unit(
        teleport=teleport_path or find_teleport(),
        config=config,
        env_file=env_file,
        pid_file=pid_file,
        fd_limit=fd_limit,
    )
    if destination is None:
        write_stdout(unit)
    else:
        write_new_file(destination, unit, mode=UNIT_MODE)
