"""The documents of a file that are ours, with the line of everything in them."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from teleport.errors import BadParameter
from teleport.resources.strict_yaml import compose, parse_documents
from teleport_operator.declaration import KIND

TEMPLATE = "{{"
"""With this begins what Helm has still to render."""

_SEPARATOR = re.compile(r"^---", re.MULTILINE)
_STEP = re.compile(r"\[(?P<inner>[^\]]+)\]|(?P<key>[^.\[\]]+)")
_CONTROL_LINE = re.compile(r"^(\s*)(\{\{.*\}\}\s*)$")
_TEMPLATED_VALUE = re.compile(r"^(?P<key>\s*(?:- +)*(?:[\w./-]+:\s+)?)(?P<value>\{\{.*?)\s*$")


@dataclass(frozen=True, slots=True)
class Document:
    """One document."""

    raw: Mapping[str, Any]
    _node: yaml.Node
    _first_line: int

    def find_line(self, path: str) -> int:
        """Return the line of what stands at a path, or of the nearest thing around it that is there."""
        node, line = self._node, self._node.start_mark.line
        for step in _STEP.finditer(path):
            found = _find_child(node, step["inner"] or step["key"])
            if found is None:
                break
            line, node = found
        return self._first_line + int(line)


def find_value(raw: Mapping[str, Any], path: str) -> Any:  # noqa: ANN401 - whatever YAML can hold
    """Return what stands at a path, or None."""
    value: Any = raw
    for step in _STEP.finditer(path):
        key = step["inner"] or step["key"]
        if isinstance(value, Mapping):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def parse_manifests(text: str) -> Iterator[Document]:
    """Yield the documents of our kind; others are not looked at, whatever they are.

    Raises:
        BadParameter: one of ours is no YAML; the message names the line.
    """
    for part, first_line in _split(text):
        if KIND not in part:
            continue
        try:
            node, raws = compose(_quote_templates(part)), list(parse_documents(_quote_templates(part)))
        except BadParameter as error:
            raise BadParameter(_place(error.message, first_line, templated=TEMPLATE in part)) from error
        if node is not None and raws and isinstance(raws[0], Mapping) and raws[0].get("kind") == KIND:
            yield Document(raws[0], node, first_line)


def _split(text: str) -> Iterator[tuple[str, int]]:
    """Yield the text of each document, and the number of its first line."""
    start, line = 0, 1
    for separator in _SEPARATOR.finditer(text):
        yield text[start : separator.start()], line
        line += text.count("\n", start, separator.start())
        start = separator.start()
    yield text[start:], line


def _quote_templates(text: str) -> str:
    """Make text of what Helm has still to render, and comments of its control lines."""
    return "".join(map(_quote_line, text.splitlines(keepends=True)))


def _quote_line(line: str) -> str:
    end = "\n" if line.endswith("\n") else ""
    if _CONTROL_LINE.match(line):
        return f"#{end}"
    templated = _TEMPLATED_VALUE.match(line)
    if templated is None:
        return line
    value = templated["value"].replace("'", "''")
    return f"{templated['key']}'{value}'{end}"


def _place(message: str, first_line: int, *, templated: bool) -> str:
    """Return a message whose line is that of the whole file."""
    placed = re.sub(r"^line ([0-9]+)", lambda found: f"line {int(found[1]) + first_line - 1}", message)
    return f"{placed}; render the chart first: helm template CHART | tctl manifests check" if templated else placed


def _find_child(node: yaml.Node, key: str) -> tuple[int, yaml.Node] | None:
    if isinstance(node, yaml.MappingNode):
        for key_node, value in node.value:
            if key_node.value == key:
                return key_node.start_mark.line, value
    if isinstance(node, yaml.SequenceNode) and key.isdecimal() and int(key) < len(node.value):
        item = node.value[int(key)]
        return item.start_mark.line, item
    return None
