"""How a program ends: errors become one line and an exit status, a closed pipe and Ctrl-C stay quiet."""

import io
import os
import sys
import traceback
from dataclasses import dataclass

import click

from teleport.cli.escaping import escape
from teleport.errors import TeleportError

FAILURE = 1
INTERRUPTED = 130
"""128 and the number of SIGINT, as shells have it."""


@dataclass(slots=True)
class Invocation:
    """What one run of a program knows beside its command's own options; commands find it as `ctx.obj`."""

    debug: bool = False
    """Errors are shown with their trace."""


def run(command: click.Command, *, name: str, invocation: Invocation) -> int:
    """Run a command on the process's arguments and return the exit status.

    Usage errors are click's and end with 2, errors of ours are one line on stderr and end with 1.
    """
    _tolerate_narrow_encodings()
    try:
        status = command.main(prog_name=name, standalone_mode=False, obj=invocation)
        sys.stdout.flush()
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except click.Abort:
        return INTERRUPTED
    except BrokenPipeError:
        _discard_output()
        return FAILURE
    except (TeleportError, OSError) as error:
        return _report(error, debug=invocation.debug)
    return status if isinstance(status, int) else 0


def _report(error: Exception, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    click.echo(f"ERROR: {escape(str(error))}", err=True)
    return FAILURE


def _tolerate_narrow_encodings() -> None:
    """Let a terminal that lacks a character show its number instead of ending the program."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="backslashreplace")


def _discard_output() -> None:
    """Point stdout at nothing: the interpreter flushes it once more at its end."""
    null = os.open(os.devnull, os.O_WRONLY)
    os.dup2(null, sys.stdout.fileno())
    os.close(null)
