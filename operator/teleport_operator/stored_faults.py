"""Says what keeps a stored object from being read as a token: there may have been no guard when it came. Pure."""

from collections.abc import Mapping

from teleport.join.method import Judge
from teleport.kube.custom_objects import RawObject
from teleport.resources.token import TOKEN_METHOD, safe_name
from teleport_operator.manifest import parse_declaration
from teleport_operator.problems import InvalidManifest


def find_fault(raw: RawObject, judges: Mapping[str, Judge]) -> str | None:
    """Return which object the operator would call Invalid and why, in a line; its name is masked if it is a secret."""
    try:
        parse_declaration(raw, judges=judges)
    except InvalidManifest as error:
        metadata = raw["metadata"]
        return f"{metadata['namespace']}/{_show_name(raw)} of {metadata['creationTimestamp']}: {error.message}"
    return None


def _show_name(raw: RawObject) -> str:
    name: str = raw["metadata"]["name"]
    spec = raw.get("spec")
    if not isinstance(spec, Mapping):
        return safe_name(name)
    return name if "secret" in spec else safe_name(name, str(spec.get("join_method", TOKEN_METHOD)))
