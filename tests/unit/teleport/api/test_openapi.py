import json
from typing import Any

import pytest

from teleport.api import operations
from teleport.api.openapi import build_openapi, list_error_statuses

DOCUMENT = build_openapi(operations.OPERATIONS, "1.2.3")


def test_every_operation_is_described() -> None:
    described = {(path, method) for path, methods in DOCUMENT["paths"].items() for method in methods}
    assert described == {(operation.path, operation.method.lower()) for operation in operations.OPERATIONS}


def test_operation_ids_are_unique() -> None:
    ids = [item["operationId"] for methods in DOCUMENT["paths"].values() for item in methods.values()]
    assert len(set(ids)) == len(ids)


def test_the_document_is_the_same_every_time() -> None:
    assert json.dumps(build_openapi(operations.OPERATIONS, "1.2.3")) == json.dumps(DOCUMENT)


def test_every_reference_leads_somewhere() -> None:
    text = json.dumps(DOCUMENT)
    for part in text.split('"$ref": "#/components/')[1:]:
        section, name = part.partition('"')[0].split("/")
        assert name in DOCUMENT["components"][section]


def test_only_anonymous_operations_do_without_a_certificate() -> None:
    for operation in operations.OPERATIONS:
        security = DOCUMENT["paths"][operation.path][operation.method.lower()]["security"]
        assert security == ([{}] if operation.anonymous else [{"clientCertificate": []}])


def test_operations_that_are_read_take_no_body() -> None:
    assert "requestBody" not in DOCUMENT["paths"]["/v1/trust"]["get"]
    assert DOCUMENT["paths"]["/v1/join"]["post"]["requestBody"]["required"] is True


@pytest.mark.parametrize(
    ("operation", "status"),
    [(operations.PING, "401"), (operations.RESOURCE_CREATE, "409"), (operations.RESOURCE_DELETE, "412")],
)
def test_an_operation_lists_the_refusals_it_may_give(operation: operations.Operation[Any, Any], status: str) -> None:
    assert status in list_error_statuses(operation)


def test_a_join_never_needs_a_certificate() -> None:
    assert "401" not in list_error_statuses(operations.JOIN)


def test_the_version_is_told() -> None:
    assert DOCUMENT["info"]["version"] == "1.2.3"
    assert DOCUMENT["openapi"] == "3.1.0"
