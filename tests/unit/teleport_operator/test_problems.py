import pytest

from teleport_operator.problems import InvalidManifest, Problem, ProblemKind

UNKNOWN = Problem("spec.roels", "is not known", "did you mean roles?", ProblemKind.UNKNOWN_FIELD)
WRONG = Problem("spec.ttl", "is no duration")


def test_a_problem_is_one_line_of_place_sentence_and_remedy() -> None:
    assert str(UNKNOWN) == "spec.roels: is not known; did you mean roles?"
    assert str(WRONG) == "spec.ttl: is no duration"


def test_a_refusal_tells_all_that_is_wrong() -> None:
    error = InvalidManifest([WRONG, UNKNOWN])
    assert error.problems == (WRONG, UNKNOWN)
    assert error.message == f"{WRONG}. {UNKNOWN}"


@pytest.mark.parametrize("problems", [[UNKNOWN], [UNKNOWN, WRONG], [WRONG, UNKNOWN]])
def test_an_unknown_field_is_the_reason_wherever_it_stands(problems: list[Problem]) -> None:
    assert InvalidManifest(problems).kind is ProblemKind.UNKNOWN_FIELD


def test_without_an_unknown_field_the_reason_is_what_could_not_be_read() -> None:
    assert InvalidManifest([WRONG]).kind is ProblemKind.FAILED_TO_DECODE
