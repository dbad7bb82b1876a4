"""The process's own log: lines for people, or JSON for machines."""

import json
import logging
import sys
from datetime import UTC, datetime

from teleport.config.settings import LogSettings
from teleport.errors import BadParameter

logger = logging.getLogger(__name__)


class TextFormatter(logging.Formatter):
    """One line a record: when, how grave, who says it, and what; control characters cannot forge a line."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, followed by a trace where there is one."""
        when = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        message = "".join(char if char.isprintable() else f"\\x{ord(char):02x}" for char in record.getMessage())
        line = f"{when.removesuffix('+00:00')}Z {record.levelname:<7} [{_component(record)}] {message}"
        return line if record.exc_info is None else f"{line}\n{self.formatException(record.exc_info)}"


class JsonFormatter(logging.Formatter):
    """One JSON object a record."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the object."""
        fields = {
            "timestamp": datetime.fromtimestamp(record.created, UTC).isoformat(),
            "level": record.levelname.lower(),
            "component": _component(record),
            "message": record.getMessage(),
        }
        if record.exc_info is not None:
            fields["trace"] = self.formatException(record.exc_info)
        return json.dumps(fields)


def configure_logging(settings: LogSettings, *, debug: bool) -> None:
    """Send the log where the settings say.

    Raises:
        BadParameter: the log file cannot be opened.
    """
    handler = _open_handler(settings.output)
    handler.setFormatter(JsonFormatter() if settings.format == "json" else TextFormatter())
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(logging.DEBUG if debug else settings.severity)
    logging.getLogger("asyncio").setLevel(logging.WARNING)
    logging.captureWarnings(capture=True)
    sys.unraisablehook = log_unraisable


def log_unraisable(what: "sys.UnraisableHookArgs") -> None:
    """Log an error that nobody could be told of, in one line and without its text, which may be a stranger's.

    A name in a TLS hello that is not ASCII ends here; whoever sends such names must not fill the log with them.
    """
    level = logging.DEBUG if issubclass(what.exc_type, UnicodeDecodeError) else logging.ERROR
    logger.log(level, "an error had nowhere to go: %s", what.exc_type.__name__)


def _open_handler(output: str) -> logging.Handler:
    if output in ("stderr", "stdout"):
        return logging.StreamHandler(sys.stderr if output == "stderr" else sys.stdout)
    try:
        return logging.FileHandler(output, encoding="utf-8")
    except OSError as error:
        raise BadParameter(f"cannot write the log to {output}: {error.strerror}") from error


def _component(record: logging.LogRecord) -> str:
    return record.name.removeprefix("teleport.")
