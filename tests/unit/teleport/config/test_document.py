import contextlib
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from teleport.config.document import MAX_ITEMS, MAX_TEXT, Section, read_document
from teleport.config.findings import MAX_PROBLEMS, Findings
from teleport.errors import BadConfiguration, BadParameter


class Reading:
    """A document under test, with what its reading brought to light."""

    def __init__(self, text: str) -> None:
        self.findings = Findings()
        self.root = read_document(text, self.findings)

    @property
    def problems(self) -> tuple[str, ...]:
        self.root.close()
        try:
            self.findings.check()
        except BadConfiguration as error:
            return error.problems
        return ()


def read(text: str) -> Section:
    return Reading(text).root


@pytest.mark.parametrize("text", ["", "\n", "# nothing\n", "---\n", "null"])
def test_an_empty_document_has_no_keys(text: str) -> None:
    assert read(text).text("version") is None


@pytest.mark.parametrize("text", ["- a", "word", "[1, 2]"])
def test_a_document_that_is_no_mapping_is_refused(text: str) -> None:
    with pytest.raises(BadParameter, match="line 1: expected sections"):
        read(text)


def test_a_second_document_is_refused() -> None:
    with pytest.raises(BadParameter):
        read("a: 1\n---\nb: 2\n")


def test_a_key_that_stands_twice_is_refused_with_its_line_wherever_it_is() -> None:
    with pytest.raises(BadParameter, match="line 4: duplicate key 'b'"):
        read("a:\n- x:\n    b: 1\n    b: 2\n")


def test_an_alias_is_refused_with_its_line() -> None:
    with pytest.raises(BadParameter, match="line 2: aliases"):
        read("a: &x 1\nb: *x\n")


def test_a_scalar_is_the_text_that_stands_there() -> None:
    root = read("a: 0123\nb: yes\nc: 1_000\nd: 'x'\ne: 2020-01-01\n")
    assert [root.text(key) for key in "abcde"] == ["0123", "yes", "1_000", "x", "2020-01-01"]


def test_absent_null_and_empty_values_are_none() -> None:
    root = read("a:\nb: ''\nc: null\nd: ~\n")
    assert [root.text(key) for key in "abcde"] == [None] * 5
    assert not any(key in root for key in "abcde")


def test_one_value_is_a_list_of_one() -> None:
    assert read("a: x").values("a", str) == ("x",)
    assert read("a: [x, y]").values("a", str) == ("x", "y")
    assert read("a:").values("a", str) == ()


def test_an_unknown_key_is_refused_by_name_path_and_line() -> None:
    reading = Reading("teleport:\n  log:\n    severty: INFO\n")
    reading.root.section("teleport").section("log").text("severity")
    assert reading.problems == ("line 3: teleport.log.severty: unknown key; did you mean severity?",)


def test_an_unknown_key_that_is_near_to_nothing_gets_no_hint() -> None:
    assert Reading("zebra: 1\n").problems == ("line 1: zebra: unknown key",)


def test_an_unknown_key_cannot_steer_a_terminal() -> None:
    (problem,) = Reading('"\\e[2Jx": 1\n').problems
    assert "\x1b" not in problem


@pytest.mark.parametrize(
    ("text", "found"), [("a: [1]", "a list"), ("a: {b: 1}", "a section"), ("a: !!binary aGk=", "a YAML tag")]
)
def test_a_value_of_the_wrong_type_is_refused_with_its_line(text: str, found: str) -> None:
    reading = Reading(text)
    assert reading.root.text("a") is None
    assert reading.problems[0] == f"line 1: a: expected one value, found {found}"


def test_a_value_where_a_section_belongs_is_refused() -> None:
    reading = Reading("a: secret\nb: [secret]\n")
    reading.root.section("a")
    reading.root.sections("b")
    assert reading.problems == (
        "line 1: a: expected a section, found a single value",
        "line 2: b[]: expected a section, found a single value",
    )


def test_no_value_is_quoted_in_a_problem() -> None:
    reading = Reading("a: my-secret\nb: my-secret\nc: [my-secret]\n")
    reading.root.switch("a")
    reading.root.whole("b", 1, 2)
    reading.root.text("c")
    assert "my-secret" not in " ".join(reading.problems)


def test_numbers_are_within_their_bounds() -> None:
    for text, expected in [
        ("1", 1),
        ("10", 10),
        ("0", None),
        ("11", None),
        ("-1", None),
        ("1.0", None),
        ("9" * 30, None),
    ]:
        assert read(f"a: {text}").whole("a", 1, 10) == expected


def test_durations_are_within_their_bounds() -> None:
    reading = Reading("a: 1h\nb: 2h\n")
    hour = timedelta(hours=1)
    assert reading.root.duration("a", hour, hour) == hour
    assert reading.root.duration("b", hour, hour) is None
    assert reading.problems == ("line 2: b: expected from 1h0m0s to 1h0m0s",)


def test_labels_are_a_mapping_of_texts() -> None:
    reading = Reading("labels: {env: prod, tier: 1, empty: }\n")
    assert reading.root.labels("labels") == {"env": "prod", "tier": "1", "empty": ""}
    assert reading.problems == ()


def test_labels_beyond_their_bounds_are_refused() -> None:
    reading = Reading("labels: {" + ", ".join(f"k{number}: v" for number in range(257)) + "}\n")
    reading.root.labels("labels")
    assert "more than 256 labels" in reading.problems[0]


def test_a_text_may_have_4096_characters_and_not_one_more() -> None:
    assert read(f"a: {'x' * MAX_TEXT}").text("a")
    reading = Reading(f"a: {'x' * (MAX_TEXT + 1)}")
    assert reading.root.text("a") is None
    assert reading.problems == ("line 1: a: longer than 4096 characters",)


def test_a_list_may_have_1000_entries_and_not_one_more() -> None:
    entries = ["x"] * MAX_ITEMS
    assert len(read(f"a: [{','.join(entries)}]").values("a", str)) == MAX_ITEMS
    reading = Reading(f"a: [{','.join([*entries, 'x'])}]")
    assert reading.root.values("a", str) == ()
    assert reading.problems == ("line 1: a: more than 1000 entries",)


def test_hostile_31_control_characters_in_values_are_refused() -> None:
    for escape in ["\\0", "\\n", "\\e", "\\r"]:
        reading = Reading(f'a: "x{escape}y"')
        assert reading.root.text("a") is None
        assert reading.problems == ("line 1: a: contains a control character",)


def test_a_command_may_have_several_lines_and_no_other_control_character() -> None:
    assert read('a: ["x\\ny"]').values("a", str, multiline=True) == ("x\ny",)
    assert read('a: ["x\\ey"]').values("a", str, multiline=True) == ()


def test_problems_are_told_in_the_order_of_the_file_and_up_to_20() -> None:
    problems = Reading("".join(f"x{number:03}: 1\n" for number in range(MAX_PROBLEMS + 10))).problems
    assert len(problems) == MAX_PROBLEMS
    assert problems[0].startswith("line 1: x000")


def test_a_key_of_the_original_that_is_not_implemented_is_warned_of_by_name() -> None:
    reading = Reading("auth_service:\n  keep_alive_interval: 5m\n")
    reading.root.section("auth_service")
    assert reading.problems == ()
    assert reading.findings.warnings == ("line 2: auth_service.keep_alive_interval: has no effect here",)


def test_a_key_whose_loss_would_leave_somebody_less_safe_is_refused_with_the_reason() -> None:
    reading = Reading("auth_service:\n  session_recording: node\n")
    reading.root.section("auth_service")
    assert reading.problems[0].startswith(
        "line 2: auth_service.session_recording: not supported: this cluster serves no"
    )


@pytest.mark.parametrize("value", ["off", "no", "''", "{enabled: no}", "{mode: off}", "{}", "[]", "never"])
def test_such_a_key_that_asks_for_nothing_is_fine(value: str) -> None:
    reading = Reading(f"auth_service:\n  session_recording: {value}\n")
    reading.root.section("auth_service")
    assert reading.problems == ()
    assert reading.findings.warnings == ()


@settings(deadline=None)
@given(st.text(max_size=300))
def test_the_reader_refuses_and_never_breaks(text: str) -> None:
    with contextlib.suppress(BadParameter):
        root = read(text)
        root.text("a")
        root.close()
