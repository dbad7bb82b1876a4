"""Secrets that a person types: never shown, never an argument, never kept."""

import sys

import click

from teleport.errors import BadParameter

MAX_BYTES = 1024


def read_secret(prompt: str) -> str:
    """Ask for a secret at the terminal without showing it; where there is none, read a line of the standard input.

    Raises:
        BadParameter: nothing was said, or too much, or no text.
    """
    if sys.stdin.isatty():
        return str(click.prompt(prompt, hide_input=True, err=True))
    raw = sys.stdin.buffer.readline(MAX_BYTES + 2).removesuffix(b"\n").removesuffix(b"\r")
    try:
        secret = raw.decode()
    except UnicodeDecodeError as error:
        raise BadParameter(f"{prompt}: the input is not UTF-8 text") from error
    if not 1 <= len(raw) <= MAX_BYTES:
        raise BadParameter(f"{prompt}: expected 1 to {MAX_BYTES} bytes, at a terminal or as a line of the input")
    return secret
