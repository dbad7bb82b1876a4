"""Who may do what at a live auth server, as its callers and its operator see it."""

import asyncio
import json
from pathlib import Path

import pytest

from support.cluster import AuthServer
from support.raw_client import send
from support.secrecy import assert_untold
from support.strangers import Stranger
from teleport.api.identity import Identity, load_identity
from teleport.api.operations import OPENAPI_PATH, OPERATIONS

NODE_TOKEN = {
    "kind": "token",
    "version": "v2",
    "metadata": {"name": "0123456789abcdef0123"},
    "spec": {"roles": ["Node"]},
}


def sign_user(auth: AuthServer, folder: Path, roles: str) -> Identity:
    path = folder / f"{roles}.identity"
    auth.tctl("auth", "sign", f"--user={roles}", f"--roles={roles}", f"--out={path}")
    return load_identity(path)


@pytest.fixture(scope="module")
def host(auth: AuthServer) -> Identity:
    stranger = Stranger(auth.address, auth.admin.host_ca_certificates)
    return stranger.identity(asyncio.run(stranger.join(auth.add_token())))


@pytest.fixture(scope="module")
def editor(auth: AuthServer, tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return sign_user(auth, tmp_path_factory.mktemp("users"), "editor")


@pytest.fixture(scope="module")
def auditor(auth: AuthServer, tmp_path_factory: pytest.TempPathFactory) -> Identity:
    return sign_user(auth, tmp_path_factory.mktemp("users"), "auditor")


@pytest.mark.parametrize("path", [each.path for each in OPERATIONS if not each.anonymous])
def test_a_stranger_is_unauthenticated_everywhere_but_at_the_door(auth: AuthServer, path: str) -> None:
    status, answer = send(auth, path)

    assert (status, answer["error"]["code"]) == (401, "unauthenticated")


def test_the_api_is_described_to_those_who_belong_to_the_cluster(auth: AuthServer, host: Identity) -> None:
    status, document = send(auth, OPENAPI_PATH, identity=host, method="GET")
    refused, _ = send(auth, OPENAPI_PATH, method="GET")

    assert (status, refused) == (200, 401)
    assert set(document["paths"]) == {operation.path for operation in OPERATIONS}


def test_a_user_cannot_heartbeat(auth: AuthServer, editor: Identity) -> None:
    heartbeat = {"hostname": "user", "version": "1.0.0", "servers": []}

    status, answer = send(auth, "/v1/heartbeat", heartbeat, identity=editor)

    assert (status, answer["error"]["code"]) == (403, "access_denied")


@pytest.mark.parametrize("verb", ["list", "get", "create", "delete"])
def test_a_host_has_nothing_to_do_with_tokens(auth: AuthServer, host: Identity, verb: str) -> None:
    bodies = {
        "list": {"kind": "token"},
        "get": {"kind": "token", "name": "0123456789abcdef0123"},
        "create": {"resource": NODE_TOKEN},
        "delete": {"kind": "token", "name": "0123456789abcdef0123"},
    }

    status, answer = send(auth, f"/v1/resources/{verb}", bodies[verb], identity=host)

    assert (status, answer["error"]["code"]) == (403, "access_denied")


def test_a_host_speaks_for_its_own_services_only(auth: AuthServer, host: Identity) -> None:
    node = {"kind": "node", "version": "v2", "metadata": {}, "spec": {"host_id": "somebody-else"}}
    proxy = {**node, "kind": "proxy"}

    own, _ = send(auth, "/v1/heartbeat", {"hostname": "h", "version": "1", "servers": [node]}, identity=host)
    foreign, _ = send(auth, "/v1/heartbeat", {"hostname": "h", "version": "1", "servers": [proxy]}, identity=host)

    assert (own, foreign) == (200, 403)
    assert "somebody-else" not in [each["spec"]["host_id"] for each in auth.list_resources("node")]


def test_an_auditor_reads_and_does_not_write(auth: AuthServer, auditor: Identity) -> None:
    auth.add_token()
    created, _ = send(auth, "/v1/resources/create", {"resource": NODE_TOKEN}, identity=auditor)
    secrets, _ = send(auth, "/v1/resources/list", {"kind": "token", "with_secrets": True}, identity=auditor)
    status, listed = send(auth, "/v1/resources/list", {"kind": "token"}, identity=auditor)

    assert (created, secrets, status) == (403, 403, 200)
    assert all(token["metadata"]["name"].startswith("*") for token in listed["resources"])


def test_an_editor_makes_tokens_and_signs_nobody(auth: AuthServer, editor: Identity) -> None:
    token = {**NODE_TOKEN, "metadata": {"name": "editors-token-of-the-test"}}

    created, _ = send(auth, "/v1/resources/create", {"resource": token}, identity=editor)
    signed, _ = send(auth, "/v1/user_certificates", {}, identity=editor)
    keys = {"csr": "", "ssh_public_key": ""}
    request = {"user": "eve", "roles": ["editor"], "keys": keys, "ttl_seconds": 3600}
    well_formed, answer = send(auth, "/v1/user_certificates", request, identity=editor)

    assert (created, signed, well_formed) == (200, 403, 403)
    assert answer["error"]["code"] == "access_denied"


def test_nobody_reads_a_private_key_of_an_authority(auth: AuthServer) -> None:
    body = {"kind": "cert_authority", "with_secrets": True}

    status, answer = send(auth, "/v1/resources/list", body, identity=auth.admin)

    assert (status, len(answer["resources"])) == (200, 6)
    assert "PRIVATE KEY" not in json.dumps(answer)


def test_an_identity_file_works_from_anywhere(auth: AuthServer, editor: Identity, tmp_path: Path) -> None:
    path = tmp_path / "editor.identity"
    auth.tctl("auth", "sign", "--user=far", f"--out={path}")

    flags = (f"--auth-server={auth.address}", f"--identity={path}")

    assert auth.tctl(*flags, "status") == auth.tctl("status")
    refused = auth.run_tctl(*flags, "auth", "sign", "--user=eve", f"--out={tmp_path / 'eve'}")
    assert (refused.returncode, refused.stderr.startswith("ERROR: ")) == (1, True)
    assert editor.tls_key not in path.read_text()


def test_metrics_count_what_happens(auth: AuthServer, host: Identity) -> None:
    joined = {"method": "token", "outcome": "success"}
    refused = {"outcome": "refused", "reason": "token_not_found"}
    names = ("teleport_heartbeats_total", "teleport_audit_emit_events_total", "backend_write_seconds_count")
    before = {name: auth.count(name) for name in names}
    joins, refusals = auth.count("teleport_joins_total", joined), auth.count("teleport_joins_total", refused)

    stranger = Stranger(auth.address, auth.admin.host_ca_certificates)
    asyncio.run(stranger.join(auth.add_token(), join_method="token"))
    send(
        auth,
        "/v1/join",
        {"token_name": "a-token-that-is-missing", "keys": stranger.keys.build_public_keys("h").model_dump()},
    )
    send(auth, "/v1/heartbeat", {"hostname": "h", "version": "1", "servers": []}, identity=host)

    assert auth.count("teleport_joins_total", joined) == joins + 1
    assert auth.count("teleport_joins_total", refused) == refusals + 1
    for name, value in before.items():
        assert auth.count(name) > value, name
    assert auth.count("process_state") == 0
    assert_untold(auth)
