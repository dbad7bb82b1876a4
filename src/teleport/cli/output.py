"""Answers as people and programs want them: tables, JSON and YAML, none of which foreign text can break out of."""

import json
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from teleport.cli.escaping import UNSAFE, escape
from teleport.resources.strict_yaml import render_yaml

Row = Sequence[str]

MIN_CELL = 5
"""Width of the narrowest column with its gap, as in the original's tables."""
MIN_CUT_COLUMN = 16
"""What the other columns leave to the one that is cut."""
ELLIPSIS = "..."


def render_table(header: Row, rows: Iterable[Row]) -> str:
    """Return a table: a header, dashes below every column, columns padded, one space between."""
    cells = [[escape(cell) for cell in row] for row in rows]
    widths = _widths([header, *cells])
    dashes = ["-" * width for width in widths]
    return "".join(_render_row(row, widths, gap=1) for row in [header, dashes, *cells])


def render_pairs(pairs: Iterable[tuple[str, str]]) -> str:
    """Return a table of two columns without a header."""
    cells = [[escape(cell) for cell in pair] for pair in pairs]
    return "".join(_render_row(row, _widths(cells), gap=2) for row in cells)


def fit_rows(header: Row, rows: Iterable[Row], *, cut: int, width: int) -> list[Row]:
    """Return the rows cut to a terminal's width.

    Args:
        header: the columns' titles.
        rows: the table's rows.
        cut: the number of the column that gets what the others leave; of those, each has an equal share at most.
        width: the terminal's width in characters.
    """
    cells = [[escape(cell) for cell in row] for row in rows]
    share = max(0, width - MIN_CUT_COLUMN) // (len(header) - 1)
    limits = [max(len(title), share) for title in header]
    trimmed = [[_cut(cell, limit) for cell, limit in zip(row, limits, strict=True)] for row in cells]
    others = sum(size + 1 for number, size in enumerate(_widths([header, *trimmed])) if number != cut)
    limits[cut] = max(len(header[cut]), width - others)
    return [
        [_cut(cell, limits[cut]) if number == cut else row[number] for number, cell in enumerate(full)]
        for full, row in zip(cells, trimmed, strict=True)
    ]


def terminal_width() -> int | None:
    """Return how wide the terminal is, or None where the output goes to a program, which wants all of it."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def render_json(data: Any, *, indent: int = 4) -> str:  # noqa: ANN401 - whatever JSON can hold
    """Return plain data as JSON; other scripts stay readable, unsafe characters become escapes."""
    text = json.dumps(data, indent=indent, ensure_ascii=False)
    return "\n".join(UNSAFE.sub(_json_escape, line) for line in text.split("\n"))


def render_documents(documents: Sequence[Mapping[str, Any]]) -> str:
    """Return resources as a YAML stream: keys sorted, documents separated by `---`."""
    return "---\n".join(_render_document(_sorted(document)) for document in documents)


def render_items(items: Sequence[Mapping[str, Any]], output_format: str) -> str:
    """Return resources as a JSON array or as a YAML stream."""
    return render_json([dict(item) for item in items]) + "\n" if output_format == "json" else render_documents(items)


def _render_document(document: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    text = render_yaml(document)
    if UNSAFE.search(text.replace("\n", "")):
        return yaml.dump(document, Dumper=yaml.CSafeDumper, sort_keys=False, default_flow_style=False)
    return text


def _sorted(data: Any) -> Any:  # noqa: ANN401 - whatever JSON can hold
    if isinstance(data, Mapping):
        return {key: _sorted(data[key]) for key in sorted(data)}
    return [_sorted(item) for item in data] if isinstance(data, list | tuple) else data


def _json_escape(match: Any) -> str:  # noqa: ANN401 - re.Match of str
    return f"\\u{ord(match.group()):04x}"


def _widths(rows: Sequence[Row]) -> list[int]:
    return [max(len(cell) for cell in column) for column in zip(*rows, strict=True)]


def _render_row(row: Row, widths: Sequence[int], *, gap: int) -> str:
    cells = (cell.ljust(max(width + gap, MIN_CELL)) for cell, width in zip(row, widths, strict=True))
    return "".join(cells).rstrip() + "\n"


def _cut(cell: str, limit: int) -> str:
    return cell if len(cell) <= limit else cell[: max(0, limit - len(ELLIPSIS))] + ELLIPSIS
