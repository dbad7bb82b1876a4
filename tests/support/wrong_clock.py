"""The clock of one process, which a test sets while the process runs: libfaketime tells it another time of day."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

FOLDERS = ("/usr/lib", "/usr/lib64", "/usr/local/lib")
LIBRARY = "faketime/libfaketime.so.1"


def find_faketime() -> Path | None:
    """Return where the library is, or None."""
    found = (path for folder in FOLDERS for path in (*Path(folder).glob(LIBRARY), *Path(folder).glob(f"*/{LIBRARY}")))
    return next(found, None)


@dataclass(frozen=True, slots=True)
class WrongClock:
    """A clock with hands; stopwatches go on as ever."""

    library: Path
    file: Path

    @property
    def environment(self) -> Mapping[str, str]:
        """Return what a process needs in order to look at this clock."""
        return {
            "LD_PRELOAD": str(self.library),
            "FAKETIME_TIMESTAMP_FILE": str(self.file),
            "FAKETIME_NO_CACHE": "1",
            "FAKETIME_DONT_FAKE_MONOTONIC": "1",
            "DONT_FAKE_MONOTONIC": "1",
        }

    def put_ahead(self, by: timedelta) -> None:
        """Let the clock be ahead of the true time; behind it where the argument is negative."""
        following = self.file.with_suffix(".next")
        following.write_text(f"{by.total_seconds():+.0f}\n")
        following.replace(self.file)

    def set_right(self) -> None:
        """Let the clock tell the true time."""
        self.put_ahead(timedelta())
