"""The OpenAPI 3.1 document of the API, built from the table of operations and the models of their bodies."""

from collections.abc import Iterable
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from teleport.api.messages import Empty, ErrorResponse
from teleport.api.operations import Operation

JsonObject = dict[str, Any]
References = dict[Any, JsonObject]
"""Where the schema of a model is, by model and mode."""

_REF = "#/components/schemas/{model}"
_ERRORS = {
    "400": "The request is malformed, or a value is missing or out of bounds.",
    "401": "The operation needs a client certificate of this cluster.",
    "403": "The caller may not do this, or the join is refused.",
    "404": "The named thing does not exist.",
    "408": "The body did not arrive in time.",
    "409": "The name is taken.",
    "412": "The thing changed since it was read.",
    "413": "The body is too large.",
    "415": "The body is not plain JSON.",
    "429": "The caller asks too often; `Retry-After` says when to come back.",
    "500": "A fault of the server; the message names the request in the server's log.",
    "501": "The original knows this, and this cluster does not implement it.",
    "503": "Something that is needed does not answer at present; `Retry-After` says when to try again.",
}
_ALWAYS = ("400", "403", "429", "500", "503")
_WITH_BODY = ("408", "413", "415")


def build_openapi(operations: Iterable[Operation[Any, Any]], version: str) -> JsonObject:
    """Describe the operations.

    Args:
        operations: what can be asked; their order is kept.
        version: the version of the software.
    """
    known = tuple(operations)
    references: References
    references, components = models_json_schema(_list_models(known), ref_template=_REF)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Teleport-compatible auth server", "version": version},
        "paths": {operation.path: _build_path(operation, references) for operation in known},
        "components": {
            "schemas": dict(sorted(components["$defs"].items())),
            "responses": {status: _build_error(status, references) for status in _ERRORS},
            "securitySchemes": {
                "clientCertificate": {"type": "mutualTLS", "description": "A certificate that this cluster issued."}
            },
        },
    }


def _list_models(operations: Iterable[Operation[Any, Any]]) -> list[tuple[type[BaseModel], JsonSchemaMode]]:
    pairs: dict[tuple[type[BaseModel], JsonSchemaMode], None] = {(ErrorResponse, "serialization"): None}
    for operation in operations:
        if operation.method == "POST":
            pairs[operation.request, "validation"] = None
        pairs[operation.response, "serialization"] = None
    return list(pairs)


def _build_path(operation: Operation[Any, Any], references: References) -> JsonObject:
    described: JsonObject = {
        "operationId": operation.name.replace("/", "_"),
        "summary": operation.summary,
        "security": [{}] if operation.anonymous else [{"clientCertificate": []}],
        "responses": {
            "200": {
                "description": "Done." if operation.response is Empty else operation.response.__doc__,
                "content": {"application/json": {"schema": references[operation.response, "serialization"]}},
            },
        }
        | {status: {"$ref": f"#/components/responses/{status}"} for status in list_error_statuses(operation)},
    }
    if operation.method == "POST":
        schema = references[operation.request, "validation"]
        described["requestBody"] = {"required": True, "content": {"application/json": {"schema": schema}}}
    return {operation.method.lower(): described}


def list_error_statuses(operation: Operation[Any, Any]) -> list[str]:
    """Return the statuses with which an operation may refuse, in order."""
    statuses = {*_ALWAYS, *operation.refusals}
    if operation.method == "POST":
        statuses.update(_WITH_BODY)
    if not operation.anonymous:
        statuses.add("401")
    if operation.kind is None:
        statuses.update(("404", "501"))
        if operation.verb in {"create", "update", "upsert"}:
            statuses.add("409")
        if operation.verb in {"update", "upsert", "delete"}:
            statuses.add("412")
    if operation.verb == "list":
        statuses.add("404")
    if operation.name == "join":
        statuses.add("501")
    return sorted(statuses)


def _build_error(status: str, references: References) -> JsonObject:
    schema = references[ErrorResponse, "serialization"]
    return {"description": _ERRORS[status], "content": {"application/json": {"schema": schema}}}
