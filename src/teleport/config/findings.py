"""What the reading of a configuration brings to light: problems, which refuse it, and warnings, which do not."""

from teleport.errors import BadConfiguration

MAX_PROBLEMS = 20


class Findings:
    """Problems and warnings with their lines, gathered so that a person can mend everything in one go.

    Args:
        origin: where the lines stand, as a file's path.
    """

    def __init__(self, origin: str = "") -> None:
        self._origin = f"{origin}: " if origin else ""
        self._problems: list[tuple[int, str]] = []
        self._warnings: list[tuple[int, str]] = []

    @property
    def clean(self) -> bool:
        """Tell whether nothing is wrong so far."""
        return not self._problems

    @property
    def full(self) -> bool:
        """Tell whether so much is wrong already that looking for more would only cost time."""
        return len(self._problems) >= MAX_PROBLEMS

    @property
    def warnings(self) -> tuple[str, ...]:
        """Return the warnings as sentences, in the order of the file."""
        return tuple(self._render(line, text) for line, text in sorted(self._warnings))

    def add_problem(self, text: str, line: int = 0) -> None:
        """Note a reason to refuse the configuration; line 0 means that it stands on no line, as what is missing."""
        if not self.full:
            self._problems.append((line, text))

    def add_warning(self, text: str, line: int = 0) -> None:
        """Note what has no effect, or less than somebody may believe."""
        self._warnings.append((line, text))

    def check(self) -> None:
        """Refuse the configuration if anything is wrong with it.

        Raises:
            BadConfiguration: with every problem, in the order of the file.
        """
        if self._problems:
            raise BadConfiguration([self._render(line, text) for line, text in sorted(self._problems)])

    def _render(self, line: int, text: str) -> str:
        return f"{self._origin}line {line}: {text}" if line else text
