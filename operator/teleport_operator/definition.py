"""Says what the definition of TeleportProvisionToken in a cluster lacks of what the operator relies on. Pure.

An older one, or the original's, drops fields that it does not know: a rule loses a restriction and admits more.
"""

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel

from teleport_operator.declaration import GROUP, PLURAL, VERSION
from teleport_operator.fields import list_fields
from teleport_operator.spec import DeclaredSpec

NAME = f"{PLURAL}.{GROUP}"

_Schema = Mapping[str, Any]


def find_gaps(definition: Mapping[str, Any]) -> tuple[str, ...]:
    """Return what a CustomResourceDefinition lacks, a sentence each; none where objects are safe with it."""
    versions = definition.get("spec", {}).get("versions") or ()
    served = next((one for one in versions if one.get("name") == VERSION and one.get("served")), None)
    if served is None:
        return (f"version {VERSION} is not served",)
    root: _Schema = served.get("schema", {}).get("openAPIV3Schema", {})
    return (*_find_in_root(served, root), *_find_in_spec(_get_property(root, "spec"), DeclaredSpec, "spec"))


def _find_in_root(served: Mapping[str, Any], root: _Schema) -> Iterator[str]:
    status = _get_property(root, "status")
    if "status" not in (served.get("subresources") or {}):
        yield "there is no subresource status"
    elif not _keeps_unknown(status):
        yield "status: fields that it does not know cannot be written"
    if "default" not in status:
        yield "status: without a default an object counts as done before the operator has looked at it"
    if not _keeps_unknown(root):
        yield "beside spec: unknown fields are dropped"


def _find_in_spec(schema: _Schema, model: type[BaseModel], path: str) -> Iterator[str]:
    """Yield what is missed at a place and below it."""
    if not _keeps_unknown(schema):
        yield f"{path}: unknown fields are dropped"
    for name, inner in list_fields(model).items():
        field = _get_property(schema, name)
        if not field:
            yield f"{path}.{name} is not known"
        elif inner is not None:
            listed = field.get("type") == "array"
            yield from _find_in_spec(
                field.get("items", {}) if listed else field, inner, f"{path}.{name}{'[]' * listed}"
            )


def _get_property(schema: _Schema, name: str) -> _Schema:
    found: _Schema = schema.get("properties", {}).get(name, {})
    return found


def _keeps_unknown(schema: _Schema) -> bool:
    return schema.get("x-kubernetes-preserve-unknown-fields") is True
