import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from teleport.cli.escaping import UNSAFE
from teleport.cli.output import fit_rows, render_documents, render_items, render_json, render_pairs, render_table

PLAIN = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def test_a_table_has_a_header_dashes_and_padded_columns() -> None:
    table = render_table(("Token", "Type", "Labels"), [("abcd123", "Node", ""), ("x", "Node,App", "env=prod")])
    assert table == (
        "Token   Type     Labels\n"
        "------- -------- --------\n"
        "abcd123 Node\n"
        "x       Node,App env=prod\n"
    )  # fmt: skip


def test_a_table_without_rows_is_its_header() -> None:
    assert render_table(("Host", "UUID"), []) == "Host UUID\n---- ----\n"


def test_a_narrow_column_is_as_wide_as_in_the_original() -> None:
    assert render_table(("A", "B"), [("1", "2")]) == "A    B\n-    -\n1    2\n"


def test_pairs_stand_in_two_columns() -> None:
    assert render_pairs([("Cluster", "c"), ("saml_idp CA", "x")]) == "Cluster      c\nsaml_idp CA  x\n"


def test_hostile_63_a_label_cannot_forge_a_row_or_steer_the_terminal() -> None:
    table = render_table(("Host", "Labels"), [("web", "a=b\nevil  admin=yes\x1b[31m")])
    assert table.count("\n") == 3
    assert "\x1b" not in table
    assert "a=b\\nevil  admin=yes\\x1b[31m" in table


def test_rows_that_fit_are_left_alone() -> None:
    rows = [("web", "id", "env=prod")]
    assert fit_rows(("Host", "UUID", "Labels"), rows, cut=2, width=80) == [["web", "id", "env=prod"]]


@pytest.mark.parametrize("width", [40, 80, 91, 120])
def test_long_labels_are_cut_to_the_width(width: int) -> None:
    header = ("Host", "UUID", "Public Address", "Labels", "Version")
    rows = [("web-1", "6805dda3-779e-493b-9e9e-52c9c1b1b1aa", "", "label=" + "x" * 300, "18.7.3")]
    fitted = fit_rows(header, rows, cut=3, width=width)
    assert fitted[0][3].endswith("...")
    needed = sum(max(16, len(title)) + 1 for title in header)
    assert max(map(len, render_table(header, fitted).splitlines())) <= max(width, needed)


def test_exactly_as_wide_is_not_cut_and_one_more_is() -> None:
    header = ("Host", "Labels")
    fits, too_long = "x" * 34, "x" * 35
    assert fit_rows(header, [("web1", fits)], cut=1, width=39) == [["web1", fits]]
    assert fit_rows(header, [("web1", too_long)], cut=1, width=39) == [["web1", "x" * 31 + "..."]]


def test_documents_are_separated_and_their_keys_sorted() -> None:
    text = render_documents([{"version": "v2", "kind": "token"}, {"kind": "node"}])
    assert text == "kind: token\nversion: v2\n---\nkind: node\n"


def test_no_documents_are_an_empty_array_or_stream() -> None:
    assert render_items([], "json") == "[]\n"
    assert render_items([], "yaml") == ""


@given(PLAIN)
def test_hostile_63_json_is_safe_to_print_and_reads_back_the_same(data: object) -> None:
    text = render_json(data)
    assert json.loads(text) == data
    assert not UNSAFE.search(text.replace("\n", ""))


@given(st.dictionaries(st.text(max_size=8), PLAIN, max_size=4))
def test_hostile_63_yaml_is_safe_to_print_and_reads_back_the_same(document: dict[str, object]) -> None:
    text = render_documents([document])
    assert not UNSAFE.search(text.replace("\n", ""))
    assert yaml.safe_load(text) == document
