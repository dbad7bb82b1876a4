"""The files of `tctl tokens test`: token resources as `tctl create` takes them, and documents with cases.

A document with `cases` holds cases, any other is a resource; the order is free.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeGuard

import yaml

from teleport.cli.tctl.token_cases import Suite, parse_suite
from teleport.errors import BadParameter
from teleport.resources.codec import MAX_DOCUMENTS, parse_resource
from teleport.resources.model import Resource
from teleport.resources.strict_yaml import build_plain, compose_documents
from teleport.resources.token import Token, check_token, fill_defaults


@dataclass(frozen=True, slots=True)
class Files:
    """What was found in all files together."""

    tokens: tuple[Token, ...]
    suites: tuple[Suite, ...]


def parse_files(texts: Iterable[tuple[str, str]], now: datetime) -> Files:
    """Read files, each as its name and its text.

    Raises:
        BadParameter: a document cannot be read, a name stands twice, or there are no tokens, or no cases; the message
            names the file and the line.
    """
    tokens: dict[str, Token] = {}
    suites: list[Suite] = []
    for origin, text in texts:
        for number, node in enumerate(_split(origin, text), start=1):
            if number > MAX_DOCUMENTS:
                raise BadParameter(f"{origin}: more than {MAX_DOCUMENTS} documents")
            if _holds_cases(node):
                suites.append(parse_suite(node, origin))
                continue
            token = _parse_token(node, origin, now)
            if token.name in tokens:
                raise BadParameter(f"{_place(origin, node)}: token {token.safe_name!r} stands in the files twice")
            tokens[token.name] = token
    _check_whole(tokens, suites)
    return Files(tuple(tokens.values()), tuple(suites))


def _split(origin: str, text: str) -> Iterator[yaml.Node]:
    try:
        yield from compose_documents(text)
    except BadParameter as error:
        raise BadParameter(f"{origin}: {error.message}") from error


def _holds_cases(node: yaml.Node) -> TypeGuard[yaml.MappingNode]:
    return isinstance(node, yaml.MappingNode) and any(key.value == "cases" for key, _ in node.value)


def _parse_token(node: yaml.Node, origin: str, now: datetime) -> Token:
    try:
        token = _require_token(parse_resource(build_plain(node)))
        filled = fill_defaults(token, now)
        check_token(filled)
    except BadParameter as error:
        raise BadParameter(f"{_place(origin, node)}: {error.message}") from error
    return filled


def _require_token(resource: Resource) -> Token:
    if not isinstance(resource, Token):
        raise BadParameter(f"a {resource.kind} has no rules to test")
    return resource


def _check_whole(tokens: dict[str, Token], suites: list[Suite]) -> None:
    if not tokens:
        raise BadParameter("there is no token resource in the files")
    if not suites:
        raise BadParameter("there are no cases in the files")
    for case in (case for suite in suites for case in suite.cases):
        named = [*case.by, *([case.given.token] if case.given.token else [])]
        unknown = [name for name in named if name not in tokens]
        if unknown:
            raise BadParameter(f"case {case.name!r} names {unknown[0]!r}, and there is no such token in the files")
        if case.reason is not None and case.given.token is None and len(tokens) > 1:
            raise BadParameter(f"case {case.name!r} expects a reason: say of which token (given.token)")


def _place(origin: str, node: yaml.Node) -> str:
    return f"{origin}: line {node.start_mark.line + 1}"
