import pytest

from teleport.errors import BadParameter
from teleport.resources.codec import KINDS
from teleport.resources.model import Metadata, parse_model
from teleport.resources.presence import SERVER_ROLES, Server, ServerSpec
from teleport.resources.role import LOCAL_SERVICE_ROLES


def test_every_kind_of_server_is_a_kind_and_needs_a_role_of_a_service() -> None:
    assert all(KINDS[kind] is Server for kind in SERVER_ROLES)
    assert set(SERVER_ROLES.values()) <= LOCAL_SERVICE_ROLES
    assert len(set(SERVER_ROLES.values())) == len(SERVER_ROLES)


def test_labels_that_commands_computed_win_and_come_in_order() -> None:
    server = Server(
        kind="node",
        metadata=Metadata(labels={"b": "static", "a": "static"}),
        spec=ServerSpec(dynamic_labels={"b": "dynamic"}),
    )
    assert list(server.all_labels.items()) == [("a", "static"), ("b", "dynamic")]


@pytest.mark.parametrize(
    ("field", "bound"),
    [
        ("host_id", 64),
        ("hostname", 256),
        ("version", 64),
        ("addr", 512),
        ("public_addr", 512),
        ("uri", 2048),
        ("protocol", 64),
    ],
)
def test_every_field_has_a_bound(field: str, bound: int) -> None:
    parse_model(ServerSpec, {field: "x" * bound}, "spec")
    with pytest.raises(BadParameter, match=field):
        parse_model(ServerSpec, {field: "x" * (bound + 1)}, "spec")
