"""Finds fields that nobody knows: each may be a mistyped restriction, and without it a rule would admit more."""

from collections.abc import Collection, Iterator, Mapping
from difflib import get_close_matches
from typing import get_args

from pydantic import BaseModel

from teleport_operator.problems import Problem, ProblemKind

MAX_QUOTED = 64


def find_unknown(value: object, model: type[BaseModel], path: str) -> Iterator[Problem]:
    """Yield a problem for every field in a value, and in what it holds, that the model does not have."""
    if isinstance(value, list | tuple):
        for number, item in enumerate(value):
            yield from find_unknown(item, model, f"{path}[{number}]")
    if not isinstance(value, Mapping):
        return
    fields = {info.alias or name: info.annotation for name, info in model.model_fields.items()}
    for key, item in value.items():
        inner = _find_model(fields[key]) if key in fields else None
        if key not in fields:
            yield describe_unknown(path, str(key), fields)
        elif inner is not None:
            yield from find_unknown(item, inner, f"{path}.{key}")


def describe_unknown(path: str, key: str, known: Collection[str]) -> Problem:
    """Return the problem of a field that is none of the known ones."""
    near = get_close_matches(key[:MAX_QUOTED], known, n=1, cutoff=0.7)
    remedy = f"did you mean {near[0]}?" if near else "take it away: nobody would look at it"
    shown = ascii(key[:MAX_QUOTED])[1:-1]
    return Problem(f"{path}.{shown}" if path else shown, "unknown field", remedy, ProblemKind.UNKNOWN_FIELD)


def _find_model(annotation: object) -> type[BaseModel] | None:
    """Return the model within an annotation such as `tuple[Rule, ...] | None`."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return next((model for model in map(_find_model, get_args(annotation)) if model is not None), None)
