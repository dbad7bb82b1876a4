"""YAML without its surprises: a key stands once, aliases are refused, nesting is bounded, times stay text."""

from collections.abc import Iterator
from typing import Any

import yaml

from teleport.errors import BadParameter, TooLarge

MAX_BYTES = 1024 * 1024
MAX_DEPTH = 64

_NULL = "tag:yaml.org,2002:null"
_TIMESTAMP = "tag:yaml.org,2002:timestamp"


class _Loader(yaml.CSafeLoader):
    """Safe types only; `construct_mapping` is where a repeated key would vanish silently."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - the base class declares it so
        first: [(tag, pattern) for tag, pattern in resolvers if tag != _TIMESTAMP]
        for first, resolvers in yaml.CSafeLoader.yaml_implicit_resolvers.items()
    }

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Any, Any]:  # noqa: FBT001, FBT002
        check_unique_keys(node)
        return super().construct_mapping(node, deep)


def check_unique_keys(node: yaml.MappingNode) -> None:
    """Refuse a mapping in which a key stands twice.

    Raises:
        BadParameter: the key and its line.
    """
    seen: set[str] = set()
    for key_node, _ in node.value:
        if not isinstance(key_node, yaml.ScalarNode):
            raise BadParameter(f"line {_line(key_node.start_mark)}: a key must be a plain word")
        if key_node.value in seen:
            raise BadParameter(f"line {_line(key_node.start_mark)}: duplicate key {key_node.value[:64]!r}")
        seen.add(key_node.value)


def parse_documents(text: str) -> Iterator[Any]:
    """Yield each document of a stream as plain data; empty documents are passed over.

    Raises:
        BadParameter: not YAML, or one of the surprises above; the message names the line.
    """
    _check_events(text)
    try:
        for document in yaml.load_all(text, Loader=_Loader):
            if document is not None:
                yield document
    except yaml.YAMLError as error:
        raise BadParameter(_describe(error)) from error


def compose(text: str) -> yaml.Node | None:
    """Return the one document of a text as a tree of nodes, whose marks tell the lines.

    Raises:
        BadParameter: as `parse_documents`, or there are several documents.
    """
    _check_events(text)
    try:
        return yaml.compose(text, Loader=_Loader)
    except yaml.YAMLError as error:
        raise BadParameter(_describe(error)) from error


def compose_documents(text: str) -> Iterator[yaml.Node]:
    """Yield each document of a stream as a tree of nodes; empty documents are passed over.

    Raises:
        BadParameter: as `parse_documents`.
    """
    _check_events(text)
    try:
        for node in yaml.compose_all(text, Loader=_Loader):
            if node.tag != _NULL:
                yield node
    except yaml.YAMLError as error:
        raise BadParameter(_describe(error)) from error


def build_plain(node: yaml.Node) -> Any:  # noqa: ANN401 - whatever YAML can hold
    """Return the plain data of a document's tree.

    Raises:
        BadParameter: as `parse_documents`.
    """
    loader = _Loader("")
    try:
        return loader.construct_document(node)
    except yaml.YAMLError as error:
        raise BadParameter(_describe(error)) from error
    finally:
        loader.dispose()


def render_yaml(data: Any) -> str:  # noqa: ANN401 - whatever JSON can hold
    """Write plain data as YAML in the order given."""
    return yaml.dump(data, Dumper=yaml.CSafeDumper, sort_keys=False, default_flow_style=False, allow_unicode=True)


def _check_events(text: str) -> None:
    """Walk the events first: they cost no recursion, whatever the input is."""
    if len(text.encode(errors="surrogatepass")) > MAX_BYTES:
        raise TooLarge(f"the document is larger than {MAX_BYTES} bytes")
    depth = 0
    try:
        for event in yaml.parse(text, Loader=_Loader):
            if isinstance(event, yaml.AliasEvent):
                raise BadParameter(f"line {_line(event.start_mark)}: aliases are not supported")
            if isinstance(event, yaml.CollectionStartEvent):
                depth += 1
                if depth > MAX_DEPTH:
                    raise BadParameter(f"line {_line(event.start_mark)}: nested deeper than {MAX_DEPTH} levels")
            elif isinstance(event, yaml.CollectionEndEvent):
                depth -= 1
    except yaml.YAMLError as error:
        raise BadParameter(_describe(error)) from error
    except UnicodeEncodeError as error:
        raise BadParameter("the document is not valid UTF-8") from error


def _line(mark: Any) -> int:  # noqa: ANN401 - the two parsers' marks share no type
    return int(mark.line) + 1


def _describe(error: yaml.YAMLError) -> str:
    """Say where the text stops being YAML, without quoting it: a line may hold a secret."""
    mark = getattr(error, "problem_mark", None)
    problem = getattr(error, "problem", None) or "not valid YAML"
    return f"line {_line(mark)}: {problem}" if mark else str(problem)
