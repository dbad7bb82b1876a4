"""Where a process's configuration is: a file, or a text in base64, named by a flag or by the environment."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from teleport.config.settings import DEFAULT_CONFIG_PATH
from teleport.config.value_file import read_regular_file
from teleport.errors import BadParameter, NotFound, TooLarge
from teleport.resources.strict_yaml import MAX_BYTES

STRING_VARIABLE = "TELEPORT_CONFIG"
FILE_VARIABLE = "TELEPORT_CONFIG_FILE"

_MAX_ENCODED = 2 * MAX_BYTES


@dataclass(frozen=True, slots=True)
class Source:
    """A configuration's text, and what to call the place where it stands."""

    origin: str
    text: str = field(repr=False)


def load_source(
    *,
    config: Path | None,
    config_string: str | None,
    environ: Mapping[str, str],
    default_path: Path = DEFAULT_CONFIG_PATH,
) -> Source | None:
    """Return the configuration that flags name, else the environment, else the default path; None if that is absent.

    An empty `TELEPORT_CONFIG_FILE` says that there is no file, not even at the default path.

    Raises:
        BadParameter: both flags are given, or the text cannot be read.
        NotFound: a file that was named does not exist.
    """
    if config is not None and config_string is not None:
        raise BadParameter("--config and --config-string name two configurations; give one")
    if config is not None:
        return load_file(config)
    if config_string is not None:
        return Source("--config-string", _decode(config_string, "--config-string"))
    if environ.get(STRING_VARIABLE):
        return Source(STRING_VARIABLE, _decode(environ[STRING_VARIABLE], STRING_VARIABLE))
    if FILE_VARIABLE in environ:
        return load_file(Path(environ[FILE_VARIABLE])) if environ[FILE_VARIABLE] else None
    try:
        return load_file(default_path)
    except NotFound:
        return None


def load_file(path: Path) -> Source:
    """Return a configuration file's text.

    Raises:
        BadParameter: no regular file, too large, no UTF-8, or it may not be read.
        NotFound: there is no such file.
    """
    return Source(str(path), read_regular_file(path, MAX_BYTES))


def _decode(encoded: str, what: str) -> str:
    if len(encoded) > _MAX_ENCODED:
        raise TooLarge(f"{what} is longer than {_MAX_ENCODED} characters")
    try:
        return base64.b64decode("".join(encoded.split()), validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise BadParameter(f"{what} is not a configuration in base64") from error
