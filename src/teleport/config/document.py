"""The strict reader of a configuration: values are asked for by name and type, and what nobody asked for is a problem.

Values are never quoted in problems and warnings: any of them may be a secret in the wrong place.
"""

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches
from typing import TypeVar

import yaml

from teleport.config.duration import parse_duration, render_duration
from teleport.config.findings import Findings
from teleport.config.switch import parse_switch
from teleport.config.unimplemented import IGNORED, REFUSED
from teleport.errors import BadParameter, TeleportError
from teleport.resources.model import check_labels
from teleport.resources.strict_yaml import check_unique_keys, compose

MAX_TEXT = 4096
MAX_ITEMS = 1000

_TAG = "tag:yaml.org,2002:"
_SCALAR_TAGS = frozenset(_TAG + name for name in ("str", "int", "float", "bool"))
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_CONTROL_IN_LINES = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_MAX_QUOTED_KEY = 64

T = TypeVar("T")


def read_document(text: str, findings: Findings) -> "Section":
    """Return the top level of a document; an empty one has no keys.

    Raises:
        BadParameter: not YAML, no mapping, or a key stands twice; the message names the line.
    """
    node = compose(text)
    if node is None or _is_null(node):
        return Section(None, "", findings)
    if not isinstance(node, yaml.MappingNode):
        raise BadParameter(f"line {_line(node)}: expected sections like teleport, auth_service or ssh_service")
    return read_node(node, findings)


def read_node(node: yaml.MappingNode, findings: Findings, *, is_original: bool = True) -> "Section":
    """Return the top level of a document that has been composed already.

    Args:
        node: the document.
        findings: hears of what is wrong.
        is_original: whether the original has files of this kind, with keys that have no effect here.

    Raises:
        BadParameter: a key stands twice; the message names the line.
    """
    for mapping in _mappings(node):
        check_unique_keys(mapping)
    return Section(node, "", findings, is_original=is_original)


class Section:
    """One mapping of the file. An absent one is empty; an absent, null or empty value is None."""

    def __init__(
        self, node: yaml.MappingNode | None, path: str, findings: Findings, *, is_original: bool = True
    ) -> None:
        self._path = path
        self._is_original = is_original
        self._findings = findings
        self._line = _line(node) if node is not None else 0
        self._nodes: Mapping[str, tuple[yaml.Node, yaml.Node]] = (
            {key.value: (key, value) for key, value in node.value} if node is not None else {}
        )
        self._asked: set[str] = set()
        self._children: list[Section] = []

    def __contains__(self, key: str) -> bool:
        """Tell whether the key is there with a value."""
        return key in self._nodes and not _is_empty(self._nodes[key][1])

    def value(self, key: str, parse: Callable[[str], T]) -> T | None:
        """Return what the parser makes of a scalar; its refusal becomes a problem with line and path."""
        node = self._ask(key)
        return None if node is None else self._parse(node, key, parse)

    def values(self, key: str, parse: Callable[[str], T], *, multiline: bool = False) -> tuple[T, ...]:
        """Return what the parser makes of each scalar of a list; one scalar is a list of one."""
        node = self._ask(key)
        parsed = [self._parse(item, key, parse, multiline=multiline) for item in self._items(node, key)]
        return tuple(item for item in parsed if item is not None)

    def text(self, key: str) -> str | None:
        """Return a text as it stands in the file."""
        return self.value(key, str)

    def switch(self, key: str) -> bool | None:
        """Return a yes or a no, in any of the words for them."""
        return self.value(key, parse_switch)

    def whole(self, key: str, minimum: int, maximum: int) -> int | None:
        """Return a whole number within the bounds."""

        def parse(text: str) -> int:
            if not re.fullmatch(r"[0-9]{1,18}", text) or not minimum <= int(text) <= maximum:
                raise BadParameter(f"expected a whole number from {minimum} to {maximum}")
            return int(text)

        return self.value(key, parse)

    def duration(self, key: str, minimum: timedelta, maximum: timedelta) -> timedelta | None:
        """Return a duration within the bounds."""

        def parse(text: str) -> timedelta:
            duration = parse_duration(text)
            if not minimum <= duration <= maximum:
                raise BadParameter(f"expected from {render_duration(minimum)} to {render_duration(maximum)}")
            return duration

        return self.value(key, parse)

    def labels(self, key: str) -> dict[str, str]:
        """Return a mapping of label to value."""
        section = self.section(key)
        labels = {label: section.value(label, str) or "" for label in section._nodes}  # noqa: SLF001 - its own kind
        try:
            check_labels(labels, "labels")
        except BadParameter as error:
            self.add_problem(key, error.message)
        return labels

    def section(self, key: str) -> "Section":
        """Return a mapping below this one; if there is none, an empty one."""
        node = self._ask(key)
        if node is not None and not isinstance(node, yaml.MappingNode):
            self.add_problem(key, f"expected a section, found {_describe(node)}")
            node = None
        return self._open(node, self._path_of(key))

    def sections(self, key: str) -> tuple["Section", ...]:
        """Return a list of mappings."""
        items = self._items(self._ask(key), key)
        path = f"{self._path_of(key)}[]"
        for item in items:
            if not isinstance(item, yaml.MappingNode):
                self._findings.add_problem(f"{path}: expected a section, found {_describe(item)}", _line(item))
        return tuple(self._open(item, path) for item in items if isinstance(item, yaml.MappingNode))

    def add_problem(self, key: str, text: str) -> None:
        """Note what is wrong with a key, or with the section for want of it."""
        self._findings.add_problem(f"{self._path_of(key)}: {text}", self.line(key))

    def add_warning(self, key: str, text: str) -> None:
        """Note what somebody should know about a key."""
        self._findings.add_warning(f"{self._path_of(key)}: {text}", self.line(key))

    def line(self, key: str) -> int:
        """Return the line of a key, or of the section if the key is not there."""
        return _line(self._nodes[key][0]) if key in self._nodes else self._line

    def close(self) -> None:
        """Report every key that nobody asked for, here and below."""
        for key, (_, node) in self._nodes.items():
            if key not in self._asked and not self._findings.full:
                self._report(key, node)
        for child in self._children:
            child.close()

    def _report(self, key: str, node: yaml.Node) -> None:
        refused: Mapping[str, str] = REFUSED.get(self._path, {}) if self._is_original else {}
        ignored = IGNORED.get(self._path, frozenset()) if self._is_original else frozenset()
        if key in refused.keys() | ignored and _is_switched_off(node):
            return
        if key in refused:
            self.add_problem(key, f"not supported: {refused[key]}")
        elif key in ignored:
            self.add_warning(key, "has no effect here")
        else:
            near = get_close_matches(key[:_MAX_QUOTED_KEY], self._asked | refused.keys() | ignored, n=1, cutoff=0.7)
            hint = f"; did you mean {near[0]}?" if near else ""
            self._findings.add_problem(f"{self._path_of(key)}: unknown key{hint}", self.line(key))

    def _ask(self, key: str) -> yaml.Node | None:
        self._asked.add(key)
        return self._nodes[key][1] if key in self else None

    def _items(self, node: yaml.Node | None, key: str) -> list[yaml.Node]:
        items: list[yaml.Node] = node.value if isinstance(node, yaml.SequenceNode) else [node] if node else []
        if len(items) > MAX_ITEMS:
            self.add_problem(key, f"more than {MAX_ITEMS} entries")
            return []
        return items

    def _open(self, node: yaml.MappingNode | None, path: str) -> "Section":
        child = Section(node, path, self._findings, is_original=self._is_original)
        self._children.append(child)
        return child

    def _parse(self, node: yaml.Node, key: str, parse: Callable[[str], T], *, multiline: bool = False) -> T | None:
        try:
            return parse(_read_scalar(node, _CONTROL_IN_LINES if multiline else _CONTROL))
        except TeleportError as error:
            self._findings.add_problem(f"{self._path_of(key)}: {error.message}", _line(node))
            return None

    def _path_of(self, key: str) -> str:
        shown = ascii(key[:_MAX_QUOTED_KEY])[1:-1]
        return f"{self._path}.{shown}" if self._path else shown


def _read_scalar(node: yaml.Node, control: re.Pattern[str]) -> str:
    if not isinstance(node, yaml.ScalarNode) or node.tag not in _SCALAR_TAGS:
        raise BadParameter(f"expected one value, found {_describe(node)}")
    if len(node.value) > MAX_TEXT:
        raise BadParameter(f"longer than {MAX_TEXT} characters")
    if control.search(node.value):
        raise BadParameter("contains a control character")
    return str(node.value)


def _mappings(node: yaml.Node) -> Iterator[yaml.MappingNode]:
    """Yield every mapping of the tree; its depth is bounded by `compose`."""
    if isinstance(node, yaml.MappingNode):
        yield node
        for _, value in node.value:
            yield from _mappings(value)
    elif isinstance(node, yaml.SequenceNode):
        for item in node.value:
            yield from _mappings(item)


def _is_switched_off(node: yaml.Node) -> bool:
    """Tell whether a key asks for nothing, as `pam: {enabled: no}` or `session_recording: off` do."""
    if isinstance(node, yaml.MappingNode):
        switches = [value for key, value in node.value if key.value in ("enabled", "mode")]
        return not node.value or any(_is_switched_off(value) for value in switches)
    if isinstance(node, yaml.SequenceNode):
        return not node.value
    if _is_empty(node) or node.value.lower() == "never":
        return True
    try:
        return not parse_switch(node.value)
    except BadParameter:
        return False


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _TAG + "null"


def _is_empty(node: yaml.Node) -> bool:
    return _is_null(node) or (isinstance(node, yaml.ScalarNode) and not node.value.strip())


def _describe(node: yaml.Node) -> str:
    if isinstance(node, yaml.SequenceNode):
        return "a list"
    if isinstance(node, yaml.MappingNode):
        return "a section"
    return "nothing" if _is_null(node) else "a single value" if node.tag in _SCALAR_TAGS else "a YAML tag"


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
