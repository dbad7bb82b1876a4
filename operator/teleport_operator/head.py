"""Reads what every object has, whether or not its spec makes sense. Pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from teleport_operator.declaration import Annotation, DeletionPolicy, Head
from teleport_operator.expiry import parse_moment

_TRUE = frozenset({"1", "t", "T", "TRUE", "true", "True"})
"""What Go's strconv.ParseBool takes for a yes; the original reads its annotations by it."""


def parse_head(raw: Mapping[str, Any]) -> Head:
    """Read the metadata of an object that an API server gave; however wrong the spec is, this succeeds."""
    metadata = raw["metadata"]
    annotations = read_annotations(raw)
    return Head(
        namespace=metadata["namespace"],
        name=metadata["name"],
        uid=metadata["uid"],
        generation=metadata["generation"],
        resource_version=metadata["resourceVersion"],
        created=parse_moment(metadata["creationTimestamp"]),
        deleting_since=_read_moment(metadata.get("deletionTimestamp")),
        finalizers=tuple(metadata.get("finalizers") or ()),
        keep=annotations.get(Annotation.KEEP) in _TRUE,
        ignore=annotations.get(Annotation.IGNORE) in _TRUE,
        deletion_policy=_read_deletion_policy(raw.get("spec")),
        rotate=annotations.get(Annotation.ROTATE, ""),
        reconcile_at=annotations.get(Annotation.RECONCILE_AT, ""),
    )


def read_annotations(raw: Mapping[str, Any]) -> Mapping[str, str]:
    """Return the annotations of an object; there may be none."""
    annotations: Mapping[str, str] = raw["metadata"].get("annotations") or {}
    return annotations


def _read_moment(text: str | None) -> datetime | None:
    return None if text is None else parse_moment(text)


def _read_deletion_policy(spec: object) -> DeletionPolicy:
    policy = spec.get("deletionPolicy") if isinstance(spec, Mapping) else None
    return DeletionPolicy.DELETE if policy in (None, DeletionPolicy.DELETE) else DeletionPolicy.ORPHAN
