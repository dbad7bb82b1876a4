"""What is wrong with a manifest: what the API server would refuse or drop, and what the operator would refuse."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from teleport.errors import BadParameter
from teleport.join.method import Judge
from teleport.resources.token import SAFE_SECRET_LENGTH
from teleport_operator.declaration import API_VERSION, Note
from teleport_operator.expiry import parse_moment
from teleport_operator.fields import describe_unknown
from teleport_operator.files.text import TEMPLATE, Document, find_value
from teleport_operator.manifest import parse_content
from teleport_operator.problems import InvalidManifest, Problem

OBJECT_NAME = re.compile(r"(?=.{1,253}\Z)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*")
"""RFC 1123, as Kubernetes has it for names of objects."""
RANDOM = re.compile(r"\b(rand[A-Z]\w*|uuidv4|genPrivateKey|derivePassword|now)\b")
"""What makes Helm render something else each time."""

_METADATA = (
    "name",
    "generateName",
    "namespace",
    "labels",
    "annotations",
    "finalizers",
    "ownerReferences",
    # What an API server adds, as `kubectl get` prints it.
    "creationTimestamp",
    "deletionGracePeriodSeconds",
    "deletionTimestamp",
    "generation",
    "managedFields",
    "resourceVersion",
    "selfLink",
    "uid",
)
_STAND_IN = "x" * SAFE_SECRET_LENGTH
"""A name for which there is a problem of its own already, or that is not known yet."""


@dataclass(frozen=True, slots=True)
class Fault:
    """A problem and its line."""

    line: int
    problem: Problem


def find_faults(document: Document, judges: Mapping[str, Judge]) -> tuple[Fault, ...]:
    """Return all faults of a manifest, in the order of its lines."""
    faults = (Fault(document.find_line(problem.path), problem) for problem in find_problems(document.raw, judges))
    return tuple(sorted(faults, key=lambda fault: fault.line))


def find_problems(raw: Mapping[str, Any], judges: Mapping[str, Judge]) -> tuple[Problem, ...]:
    """Return all that is wrong with a manifest."""
    problems = [*_find_in_head(raw), *_find_in_content(raw, judges)]
    return tuple(problem for problem in problems if not _is_unrendered(raw, problem.path))


def find_notes(raw: Mapping[str, Any], judges: Mapping[str, Judge]) -> tuple[Note, ...]:
    """Return what somebody should know of a manifest that has no fault; nothing before Helm has rendered it."""
    try:
        return parse_content(_for_the_operator(raw), judges=judges).notes
    except InvalidManifest:
        return ()


def _is_unrendered(raw: Mapping[str, Any], path: str) -> bool:
    """Tell whether nothing can be said of a place before Helm has rendered it; of two of them it can."""
    return path not in ("metadata.name", "metadata.expires") and TEMPLATE in str(find_value(raw, path))


def _find_in_head(raw: Mapping[str, Any]) -> Iterator[Problem]:
    """Yield what Kubernetes itself would say."""
    if raw.get("apiVersion") != API_VERSION:
        yield Problem("apiVersion", "is not the operator's", f"write {API_VERSION}")
    metadata = raw.get("metadata")
    if not isinstance(metadata, Mapping):
        yield Problem("metadata", "must be a mapping", "give the object a name")
        return
    yield from _find_in_name(metadata)
    if "expires" in metadata:
        yield _describe_expires(str(metadata["expires"]))
    for key in metadata:
        if key not in _METADATA and key != "expires":
            yield describe_unknown("metadata", str(key), _METADATA)
    yield from _find_untexted(metadata)


def _find_in_name(metadata: Mapping[str, Any]) -> Iterator[Problem]:
    name = metadata.get("name")
    if name is None and "generateName" not in metadata:
        yield Problem("metadata.name", "is missing")
    elif isinstance(name, str) and TEMPLATE in name:
        if RANDOM.search(name):
            yield Problem(
                "metadata.name",
                "is another one each time the chart is rendered: a new token, and the former one goes",
                "choose one that stays, and let the operator make the secret: `secret: {}` in the spec",
            )
    elif name is not None and (not isinstance(name, str) or not OBJECT_NAME.fullmatch(name)):
        yield Problem(
            "metadata.name",
            "is none that Kubernetes takes: lower-case letters, digits, - and ., at most 253",
            "if it is the secret, choose a name and let the operator make the secret: `secret: {}` in the spec",
        )


def _describe_expires(text: str) -> Problem:
    """Describe the field that Kubernetes does not have; what it was meant to say can still be said."""
    remedy = "write spec.ttl, as 1h, or spec.expires"
    try:
        parse_moment(text)
    except BadParameter:
        remedy += "" if TEMPLATE in text else ", in the form 2026-01-31T12:00:00Z"
    return Problem("metadata.expires", "is no field of Kubernetes: the API server drops or refuses it", remedy)


def _find_untexted(metadata: Mapping[str, Any]) -> Iterator[Problem]:
    for field in ("labels", "annotations"):
        entries = metadata.get(field) or {}
        if not isinstance(entries, Mapping):
            yield Problem(f"metadata.{field}", "must be a mapping")
            continue
        for key, value in entries.items():
            if not isinstance(value, str):
                yield Problem(f"metadata.{field}[{key}]", "must be text", "put it in quotes")


def _find_in_content(raw: Mapping[str, Any], judges: Mapping[str, Judge]) -> tuple[Problem, ...]:
    """Return what the operator would say."""
    try:
        parse_content(_for_the_operator(raw), judges=judges)
    except InvalidManifest as error:
        return error.problems
    return ()


def _for_the_operator(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifest with metadata as an API server would give them."""
    metadata = raw.get("metadata")
    plain: Mapping[str, Any] = metadata if isinstance(metadata, Mapping) else {}
    name = plain.get("name")
    annotations = plain.get("annotations")
    entries = annotations.items() if isinstance(annotations, Mapping) else ()
    return {
        **raw,
        "metadata": {
            "name": name if isinstance(name, str) and OBJECT_NAME.fullmatch(name) else _STAND_IN,
            "annotations": {str(key): value for key, value in entries if isinstance(value, str)},
        },
    }
