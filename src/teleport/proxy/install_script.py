"""Renders the script that installs this version from a proxy, and the one that only says why there is none."""

import re
import shlex
from collections.abc import Mapping
from functools import cache
from pathlib import Path

from teleport.errors import BadParameter
from teleport.resources.address import Address
from teleport.version import ARCHITECTURES, VERSION

TEMPLATE = Path(__file__).with_name("install.sh")
MAX_VALUE = 1024
"""Characters of one value."""
_CHECKSUM = re.compile(r"[0-9a-f]{64}")
_PLACEHOLDER = re.compile(r"@([A-Z0-9_]+)@")


def render_install_script(*, proxy: Address, checksums: Mapping[str, str], insecure: bool) -> str:
    """Return the script for a POSIX shell.

    Args:
        proxy: where the host reaches the proxy.
        checksums: SHA-256 in hex of the archives that the proxy has, by architecture.
        insecure: do not verify the proxy's certificate for the download; the checksum is verified all the same.

    Raises:
        BadParameter: a value cannot stand in a script.
    """
    if not all(_CHECKSUM.fullmatch(checksum) for checksum in checksums.values()):
        raise BadParameter("a checksum is 64 hexadecimal digits")
    values = {
        "URL": f"https://{proxy}/v1/webapi/dist",
        "VERSION": VERSION,
        "INSECURE": "yes" if insecure else "",
        **{f"CHECKSUM_{name.upper()}": checksums.get(name, "") for name in ARCHITECTURES.values()},
    }
    return fill(_read_template(), values)


def render_failure(message: str) -> str:
    """Return a script that prints an error and fails: harmless to whoever pipes it into a shell as root."""
    shown = "".join(char if char.isprintable() else "?" for char in message[:MAX_VALUE])
    return fill("#!/bin/sh\nprintf 'error: %s\\n' @MESSAGE@ >&2\nexit 1\n", {"MESSAGE": shown})


def fill(template: str, values: Mapping[str, str]) -> str:
    """Put each value, quoted as one word of a shell, in the place of `@ITS_NAME@`; nothing in a value is replaced.

    Raises:
        BadParameter: a value is too long, or holds what does not print.
    """
    return _PLACEHOLDER.sub(lambda found: _quote(values[found.group(1)]), template)


def _quote(value: str) -> str:
    if len(value) > MAX_VALUE or not value.isprintable():
        raise BadParameter("a value of a script is one line that prints")
    return shlex.quote(value)


@cache
def _read_template() -> str:
    return TEMPLATE.read_text(encoding="utf-8")
