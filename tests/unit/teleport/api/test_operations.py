import re

import pytest

from teleport.api.messages import Empty
from teleport.api.operations import MAX_ANONYMOUS_BODY_BYTES, MAX_BODY_BYTES, OPENAPI_PATH, OPERATIONS

NAMES = [operation.name for operation in OPERATIONS]


def test_paths_are_unique() -> None:
    paths = [*(operation.path for operation in OPERATIONS), OPENAPI_PATH]
    assert len(set(paths)) == len(paths)


@pytest.mark.parametrize("operation", OPERATIONS, ids=NAMES)
def test_no_value_is_part_of_a_path(operation: object) -> None:
    assert re.fullmatch(r"/v1/[a-z_]+(/[a-z]+)?", getattr(operation, "path", ""))


def test_only_joining_and_what_it_needs_before_are_for_everybody() -> None:
    assert {operation.name for operation in OPERATIONS if operation.anonymous} == {"trust", "join"}


def test_what_has_no_input_is_a_get_and_everything_else_a_post() -> None:
    for operation in OPERATIONS:
        if operation.method == "GET":
            assert operation.request is Empty


def test_only_operations_on_resources_leave_the_kind_to_the_body() -> None:
    assert {operation.name.split("/")[0] for operation in OPERATIONS if operation.kind is None} == {"resources"}


def test_strangers_may_send_less() -> None:
    assert MAX_ANONYMOUS_BODY_BYTES < MAX_BODY_BYTES
