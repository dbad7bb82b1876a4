"""What is wrong with an object: each problem with its place, a sentence and a remedy."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from teleport.errors import BadParameter


class ProblemKind(StrEnum):
    """The reason of condition ValidStructure when it is False."""

    UNKNOWN_FIELD = "UnknownField"
    FAILED_TO_DECODE = "FailedToDecode"


@dataclass(frozen=True, slots=True)
class Problem:
    """One thing to mend. Values are never quoted: any of them may be a secret in the wrong place."""

    path: str
    """Where, as `spec.kubernetes.allow[0].service_acount`."""
    sentence: str
    remedy: str = ""
    kind: ProblemKind = ProblemKind.FAILED_TO_DECODE

    def __str__(self) -> str:
        """Write it in one line."""
        return f"{self.path}: {self.sentence}" + (f"; {self.remedy}" if self.remedy else "")


class InvalidManifest(BadParameter):
    """An object cannot be read as a token; all that is wrong with it is in `problems`."""

    def __init__(self, problems: Sequence[Problem]) -> None:
        super().__init__(". ".join(str(problem) for problem in problems))
        self.problems = tuple(problems)

    @property
    def kind(self) -> ProblemKind:
        """Return the reason for condition ValidStructure; an unknown field goes first, as it may restrict."""
        kinds = {problem.kind for problem in self.problems}
        return ProblemKind.UNKNOWN_FIELD if ProblemKind.UNKNOWN_FIELD in kinds else ProblemKind.FAILED_TO_DECODE
