"""What `teleport configure` and `teleport node configure` share: common answers, the writing, and what to do next."""

import os
import shlex
import socket
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import click

from teleport.cli.params import parsed
from teleport.cli.teleport.destination import parse_destination, write_new_file, write_stdout
from teleport.config.names import parse_nodename
from teleport.config.settings import DEFAULT_CONFIG_PATH
from teleport.config.template import Template, render_template
from teleport.config.value_file import is_file_reference
from teleport.errors import BadParameter
from teleport.resources.model import check_name
from teleport.resources.role import SystemRole
from teleport.resources.token import MIN_SECRET_LENGTH, TOKEN_METHOD

CONFIG_MODE = 0o600
"""The file may hold a join token."""

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def parse_token(text: str) -> str:
    """Read a join token, or the path of a file with one; how long a secret must be is the auth server's to judge.

    Raises:
        BadParameter: it is empty, endless, or holds a control character.
    """
    check_name(text.strip(), "the token")
    return text.strip()


def parse_path(text: str) -> Path:
    """Read a path that a service will open, wherever it is started.

    Raises:
        BadParameter: it is not absolute, or holds a control character.
    """
    check_name(text, "the path")
    if not text.startswith("/"):
        raise BadParameter("expected an absolute path")
    return Path(text)


def output_options(command: Decorated) -> Decorated:
    """Add `--output` and `--silent`."""
    output = click.option(
        "-o",
        "--output",
        "destination",
        default="stdout",
        show_default=True,
        callback=parsed(partial(parse_destination, default_file=DEFAULT_CONFIG_PATH)),
        help=f"Where to write: stdout, file ({DEFAULT_CONFIG_PATH}), or file:///path/to/file.",
    )
    silent = click.option("--silent", is_flag=True, help="Say nothing beside the configuration and errors.")
    return output(silent(command))


def find_nodename(answer: str | None) -> str:
    """Return the name that was answered, else this host's.

    Raises:
        BadParameter: this host's name will not do.
    """
    try:
        return answer or parse_nodename(socket.gethostname())
    except BadParameter as error:
        raise BadParameter("this host's name cannot be a node's name; give one with --node-name") from error


def write_configuration(template: Template, destination: Path | None, *, silent: bool) -> None:
    """Write the configuration where it shall go, and tell a person how to go on.

    Raises:
        BadParameter: the answers do not go together, or the file cannot be written.
        AlreadyExists: the file exists.
    """
    content = render_template(template)
    if destination is None:
        write_stdout(content)
    else:
        write_new_file(destination, content, mode=CONFIG_MODE)
    if silent:
        return
    for doubt in _find_doubts(template):
        click.echo(f"WARNING: {doubt}", err=True)
    if destination is not None:
        sudo = "sudo " if needs_sudo(template.data_dir, os.environ, user_id=os.geteuid()) else ""
        click.echo(_render_next_steps(destination, sudo), nl=False)


def needs_sudo(data_dir: Path, environ: Mapping[str, str], *, user_id: int) -> bool:
    """Tell whether whoever wrote the configuration, and may read it, starts Teleport with `sudo`.

    Root does so only where it is somebody else's root; others where they may not write to the data directory.
    """
    if user_id == 0:
        return "SUDO_USER" in environ
    existing = next(folder for folder in (data_dir, *data_dir.parents) if os.access(folder, os.F_OK))
    return not os.access(existing, os.W_OK | os.X_OK)


def _find_doubts(template: Template) -> Iterator[str]:
    token = template.token or ""
    if (
        token
        and template.join_method == TOKEN_METHOD
        and not is_file_reference(token)
        and len(token) < MIN_SECRET_LENGTH
    ):
        yield f"the token is shorter than {MIN_SECRET_LENGTH} characters; an auth server accepts no such secret"
    if SystemRole.AUTH not in template.roles and not template.auth_server and not template.proxy_server:
        yield "the cluster's address is missing; put teleport.auth_server into the file before you start"
    if template.auth_server and not template.ca_pins:
        yield 'no CA pin; put what `tctl status` shows in place of ca_pin: "" before you start'


def _render_next_steps(path: Path, sudo: str) -> str:
    start, service = f"{sudo}teleport start --config={shlex.quote(str(path))}", ""
    if path == DEFAULT_CONFIG_PATH:
        start, service = f"{sudo}teleport start", f"{sudo}systemctl enable --now teleport"
    steps = [f"A configuration has been written to {path}.", "", "To start Teleport in the foreground:", f"  {start}"]
    if service:
        steps += ["", "To start it with the host, once `teleport install systemd` has made the unit:", f"  {service}"]
    return "\n".join(steps) + "\n"
