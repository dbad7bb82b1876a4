"""Kubernetes' objects, as far as they are looked at: answers copied into frozen values, and nothing judged."""

from base64 import b64decode
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Generic, TypeVar

from teleport.kube.errors import BadAnswer, Gone

T = TypeVar("T")

_GONE = 410


@dataclass(frozen=True, slots=True)
class Pod:
    """A pod."""

    name: str
    uid: str
    service_account: str
    is_terminating: bool
    """Somebody has asked for its end; containers may still run for their time of grace."""
    phase: str = ""
    """`Pending`, `Running`, `Succeeded`, `Failed` (also when it is evicted) or `Unknown`."""


@dataclass(frozen=True, slots=True)
class Listing(Generic[T]):
    """All objects of one kind in a namespace at one moment, and from where a watch goes on."""

    objects: tuple[T, ...]
    resource_version: str


class Change(StrEnum):
    """What a watch tells of an object."""

    ADDED = "ADDED"
    MODIFIED = "MODIFIED"
    DELETED = "DELETED"


@dataclass(frozen=True, slots=True)
class ObjectChange(Generic[T]):
    """One event of a watch; without a change it is a bookmark, which only says how far the watch has come."""

    resource_version: str
    change: Change | None = None
    object: T | None = None


@dataclass(frozen=True, slots=True)
class ServiceAccountObject:
    """A ServiceAccount that exists; whether it is who speaks to us is another question."""

    namespace: str
    name: str
    uid: str


@dataclass(frozen=True, slots=True)
class AccessAnswer:
    """Whether this process may do something, and why in the API server's words, which may be none."""

    allowed: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Secret:
    """A Secret."""

    namespace: str
    name: str
    resource_version: str
    data: Mapping[str, bytes] = field(repr=False)


def parse_pod(raw: Mapping[str, Any]) -> Pod:
    """Copy a pod.

    Raises:
        BadAnswer: it is none.
    """
    metadata = read_block(raw, "metadata")
    return Pod(
        name=require_text(metadata, "name"),
        uid=require_text(metadata, "uid"),
        service_account=read_text(read_block(raw, "spec"), "serviceAccountName"),
        is_terminating=metadata.get("deletionTimestamp") is not None,
        phase=read_text(read_block(raw, "status"), "phase"),
    )


def parse_service_account(raw: Mapping[str, Any]) -> ServiceAccountObject:
    """Copy a ServiceAccount.

    Raises:
        BadAnswer: it is none.
    """
    metadata = read_block(raw, "metadata")
    return ServiceAccountObject(
        namespace=require_text(metadata, "namespace"),
        name=require_text(metadata, "name"),
        uid=require_text(metadata, "uid"),
    )


@dataclass(frozen=True, slots=True)
class ObjectKind(Generic[T]):
    """A kind that can be listed and watched."""

    resource: str
    parse: Callable[[Mapping[str, Any]], T]


PODS = ObjectKind("pods", parse_pod)
SERVICE_ACCOUNTS = ObjectKind("serviceaccounts", parse_service_account)


def parse_change(kind: ObjectKind[T], event: Mapping[str, Any]) -> ObjectChange[T]:
    """Copy an event of a watch.

    Raises:
        Gone: the watch has lost its place; list anew.
        BadAnswer: it is no such event.
    """
    name, raw = read_text(event, "type"), read_block(event, "object")
    if name == "ERROR":
        message = read_text(raw, "message")[:256]
        if raw.get("code") == _GONE:
            raise Gone(f"the watch has lost its place: {message}")
        raise BadAnswer(f"the watch failed: {message}")
    resource_version = require_text(read_block(raw, "metadata"), "resourceVersion")
    if name == "BOOKMARK":
        return ObjectChange(resource_version)
    if name not in Change.__members__:
        raise BadAnswer(f"the watch tells of {name[:32]!r}, which means nothing here")
    return ObjectChange(resource_version, Change(name), kind.parse(raw))


def parse_secret(raw: Mapping[str, Any]) -> Secret:
    """Copy a Secret.

    Raises:
        BadAnswer: it is none.
    """
    metadata = read_block(raw, "metadata")
    return Secret(
        namespace=require_text(metadata, "namespace"),
        name=require_text(metadata, "name"),
        resource_version=require_text(metadata, "resourceVersion"),
        data={str(key): _decode(value) for key, value in read_block(raw, "data").items()},
    )


def read_block(raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """Return an object inside of another; what is none is as if it were empty."""
    block = raw.get(name)
    return block if isinstance(block, dict) else {}


def read_text(raw: Mapping[str, Any], name: str) -> str:
    """Return a text; what is none is as if it were empty."""
    value = raw.get(name)
    return value if isinstance(value, str) else ""


def read_texts(value: object) -> tuple[str, ...]:
    """Return a list's texts; what is no text is as if it were not there."""
    return tuple(item for item in value if isinstance(item, str)) if isinstance(value, list) else ()


def require_text(raw: Mapping[str, Any], name: str) -> str:
    """Return a text that must be there.

    Raises:
        BadAnswer: it is not.
    """
    value = read_text(raw, name)
    if not value:
        raise BadAnswer(f"the API server's answer has no {name}")
    return value


def _decode(value: Any) -> bytes:  # noqa: ANN401 - an answer's value is of any shape, and what is no text is refused
    try:
        return b64decode(value, validate=True)
    except (ValueError, TypeError) as error:
        raise BadAnswer("a value of the Secret is no base64") from error
