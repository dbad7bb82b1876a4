from typing import Any

import pytest

from teleport.api import messages as m
from teleport.errors import BadParameter
from teleport.resources.model import Model, parse_model

KEYS = {"csr": "csr", "ssh_public_key": "key"}
HOST_CERTIFICATES = {"role": "Node", "keys": KEYS}
USER_CERTIFICATES = {"user": "alice", "roles": ["editor"], "keys": KEYS, "ttl_seconds": 60}
HEARTBEAT = {"hostname": "h", "version": "1", "servers": []}


@pytest.mark.parametrize(
    ("model", "base", "field", "fits", "too_much"),
    [
        (m.PublicKeys, KEYS, "csr", "x" * 16384, "x" * 16385),
        (m.PublicKeys, KEYS, "ssh_public_key", "x" * 4096, "x" * 4097),
        (m.HostCertificatesRequest, HOST_CERTIFICATES, "node_name", "x" * 256, "x" * 257),
        (m.HostCertificatesRequest, HOST_CERTIFICATES, "dns_names", ["x"] * 64, ["x"] * 65),
        (m.HostCertificatesRequest, HOST_CERTIFICATES, "additional_principals", ["x" * 256] * 64, ["x" * 257]),
        (m.UserCertificatesRequest, USER_CERTIFICATES, "user", "x" * 1024, "x" * 1025),
        (m.UserCertificatesRequest, USER_CERTIFICATES, "roles", ["x"] * 16, ["x"] * 17),
        (m.UserCertificatesRequest, USER_CERTIFICATES, "roles", ["x" * 64], []),
        (m.UserCertificatesRequest, USER_CERTIFICATES, "ttl_seconds", 315_360_000, 315_360_001),
        (m.UserCertificatesRequest, USER_CERTIFICATES, "ttl_seconds", 60, 59),
        (m.TrustBundleRequest, {}, "known_revision", "x" * 128, "x" * 129),
        (m.GetRequest, {"kind": "token", "name": "t"}, "kind", "x" * 64, "x" * 65),
        (m.GetRequest, {"kind": "token", "name": "t"}, "name", "x" * 1024, "x" * 1025),
        (m.ListRequest, {"kind": "token"}, "page_size", 1000, 1001),
        (m.ListRequest, {"kind": "token"}, "page_size", 1, 0),
        (m.ListRequest, {"kind": "token"}, "page_token", "x" * 1024, "x" * 1025),
        (m.DeleteRequest, {"kind": "token", "name": "t"}, "revision", "x" * 64, "x" * 65),
        (m.TokenUsesRequest, {"name": "t"}, "limit", 1000, 1001),
        (m.TokenUsesRequest, {"name": "t"}, "limit", 1, 0),
        (m.HeartbeatRequest, HEARTBEAT, "hostname", "x" * 256, "x" * 257),
        (m.HeartbeatRequest, HEARTBEAT, "version", "x" * 64, "x" * 65),
        (m.HeartbeatRequest, HEARTBEAT, "servers", [{}] * 1024, [{}] * 1025),
    ],
)
def test_every_field_of_a_request_has_a_bound(
    model: type[Model], base: dict[str, Any], field: str, fits: Any, too_much: Any
) -> None:
    parse_model(model, {**base, field: fits}, "request")
    with pytest.raises(BadParameter, match=field):
        parse_model(model, {**base, field: too_much}, "request")


def test_unknown_fields_are_refused() -> None:
    with pytest.raises(BadParameter, match="unknown field"):
        parse_model(m.GetRequest, {"kind": "token", "name": "t", "colour": "blue"}, "request")


@pytest.mark.parametrize(
    "message",
    [
        m.GetRequest(kind="token", name="a-secret-token"),
        m.DeleteRequest(kind="token", name="a-secret-token"),
        m.TokenUsesRequest(name="a-secret-token"),
        m.ResourceRequest(resource={"metadata": {"name": "a-secret-token"}}),
        m.ResourceResponse(resource={"metadata": {"name": "a-secret-token"}}),
        m.ListResponse(resources=({"metadata": {"name": "a-secret-token"}},)),
    ],
)
def test_no_repr_shows_what_may_be_a_secret(message: Model) -> None:
    assert "a-secret-token" not in repr(message)
