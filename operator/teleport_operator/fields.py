"""Finds fields that nobody knows: each may be a mistyped restriction, and without it a rule would admit more."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from functools import cache
from typing import Any, get_args

from pydantic import BaseModel

from teleport_operator.problems import Problem, ProblemKind

MAX_QUOTED = 64


@cache
def list_fields(model: type[BaseModel]) -> Mapping[str, type[BaseModel] | None]:
    """Return the fields of a model as manifests spell them, each with the model of what it holds, if it has one."""
    return {info.alias or name: _find_model(info.annotation) for name, info in model.model_fields.items()}


def find_near(key: str, known: Collection[str]) -> str | None:
    """Return the field that was meant, where one is near enough."""
    return next(iter(get_close_matches(key[:MAX_QUOTED], known, n=1, cutoff=0.7)), None)


def find_unknown(value: object, model: type[BaseModel], path: str) -> Iterator[Problem]:
    """Yield a problem for every field in a value, and in what it holds, that the model does not have."""
    if isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from find_unknown(item, model, f"{path}[{number}]")
    if not isinstance(value, Mapping):
        return
    fields = list_fields(model)
    for key, item in value.items():
        inner = fields.get(key)
        if key not in fields:
            yield describe_unknown(path, str(key), fields)
        elif inner is not None:
            yield from find_unknown(item, inner, f"{path}.{key}")


def without_unknown(value: Any, model: type[BaseModel]) -> Any:  # noqa: ANN401 - whatever JSON can hold
    """Return a value without the fields that the model does not have, so that the rest can be looked at, too."""
    if isinstance(value, list | tuple):
        return [without_unknown(item, model) for item in value]
    if not isinstance(value, Mapping):
        return value
    fields = list_fields(model)
    known = {key: (item, fields[key]) for key, item in value.items() if key in fields}
    return {key: item if inner is None else without_unknown(item, inner) for key, (item, inner) in known.items()}


def describe_unknown(path: str, key: str, known: Collection[str]) -> Problem:
    """Return the problem of a field that is none of the known ones."""
    near = find_near(key, known)
    remedy = f"did you mean {near}?" if near else "take it away: nobody would look at it"
    shown = ascii(key[:MAX_QUOTED])[1:-1]
    return Problem(f"{path}.{shown}" if path else shown, "unknown field", remedy, ProblemKind.UNKNOWN_FIELD)


def _find_model(annotation: object) -> type[BaseModel] | None:
    """Return the model within an annotation such as `tuple[Rule, ...] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for model in map(_find_model, get_args(annotation)) if model is not None), None)
