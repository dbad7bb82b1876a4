"""The proxy as a real process: it joins, shows certificates by name, tells strangers the way, and ends gracefully."""

import json
import socket
import subprocess
from pathlib import Path

import pytest

from support.cluster import AuthFactory, AuthServer
from support.processes import PATIENCE, Processes, wait_until
from support.proxy import Proxy, build_credulous_context, read_all
from support.tls_certificates import ThrowawayAuthority
from teleport.version import VERSION

CLUSTER = "teleport.cluster.local"


@pytest.fixture(scope="module")
def proxy(auth: AuthServer, shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> Proxy:
    """A proxy with a certificate that it has made itself, which all tests of this module share."""
    folder = tmp_path_factory.mktemp("shared") / "front"
    return Proxy(shared_processes, folder, auth, {"public_addr": "front.example.com:443"}).start()


def write_pair(folder: Path, name: str) -> dict[str, str]:
    leaf = ThrowawayAuthority.create().issue(name)
    paths = {"key_file": folder / f"{name}.key", "cert_file": folder / f"{name}.crt"}
    paths["key_file"].write_text(leaf.key_pem)
    paths["cert_file"].write_text(leaf.certificate_pem)
    return {key: str(path) for key, path in paths.items()}


def test_a_proxy_joins_and_is_listed_with_its_public_address(auth: AuthServer, proxy: Proxy) -> None:
    auth.wait_for_record(proxy.folder.name, "proxy")
    (record,) = auth.list_resources("proxy")
    assert record["spec"]["public_addr"] == "front.example.com:443"
    assert "Proxy" in auth.tctl("inventory", "ls")


@pytest.mark.parametrize("path", ["/webapi/find", "/v1/webapi/find", "/webapi/ping", "/v1/webapi/ping"])
def test_strangers_are_told_the_way(proxy: Proxy, path: str) -> None:
    status, body = proxy.get(path)
    found = json.loads(body)
    assert status == 200
    assert (found["server_version"], found["cluster_name"]) == (VERSION, "example.com")
    assert found["proxy"]["ssh"]["public_addr"] == "front.example.com:443"


def test_the_guides_command_prints_the_version(proxy: Proxy) -> None:
    done = subprocess.run(
        ["curl", "-sk", f"https://{proxy.address}/v1/webapi/find"], capture_output=True, text=True, check=True
    )
    assert json.loads(done.stdout)["server_version"] == VERSION


def test_a_connector_that_is_not_there_is_400_with_the_originals_shape(proxy: Proxy) -> None:
    status, body = proxy.get("/webapi/ping/github")
    assert status == 400
    assert json.loads(body)["error"]["message"]


def test_the_keys_of_tokens_are_published(proxy: Proxy) -> None:
    status, body = proxy.get("/.well-known/jwks.json")
    assert (status, len(json.loads(body)["keys"])) == (200, 1)


def test_the_name_decides_which_certificate_is_shown(proxy: Proxy) -> None:
    assert CLUSTER in proxy.look_at_certificate(CLUSTER).names
    assert "front.example.com" in proxy.look_at_certificate("front.example.com").names
    assert "front.example.com" in proxy.look_at_certificate("anything.example.net").names


def test_a_client_that_names_no_protocol_gets_http(proxy: Proxy) -> None:
    answer = proxy.send(b"GET /webapi/find HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", protocols=())
    assert answer.startswith(b"HTTP/1.1 200 ")


def test_plain_http_is_not_answered_with_silence(proxy: Proxy) -> None:
    with socket.create_connection((proxy.address.host, proxy.address.port), timeout=PATIENCE) as plain:
        plain.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        assert b"HTTP/1.1 200" not in plain.recv(65536)


def test_the_apis_operations_are_not_on_the_public_port(proxy: Proxy) -> None:
    assert proxy.get("/v1/trust")[0] == 404
    assert proxy.get("/v1/join", "Content-Length: 0", "Content-Type: application/json", method="POST")[0] == 404


def test_the_certificate_made_here_and_the_identity_outlive_a_restart(
    auth: AuthServer, processes: Processes, tmp_path: Path
) -> None:
    proxy = Proxy(processes, tmp_path / "again", auth).start()
    shown = [proxy.look_at_certificate(name).chain_pem for name in ("localhost", CLUSTER)]
    assert proxy.process.stop() == 0
    proxy.start()
    assert [proxy.look_at_certificate(name).chain_pem for name in ("localhost", CLUSTER)] == shown
    assert proxy.process.log.count("signs itself") == 2
    assert auth.list_joins("again") == [True]


def test_pairs_are_chosen_by_name_and_read_again_and_a_broken_one_changes_nothing(
    auth: AuthServer, processes: Processes, tmp_path: Path
) -> None:
    pairs = [write_pair(tmp_path, name) for name in ("one.example.com", "two.example.com")]
    service = {"https_keypairs": pairs, "https_keypairs_reload_interval": "1s"}
    proxy = Proxy(processes, tmp_path / "pairs", auth, service).start()
    assert proxy.look_at_certificate("one.example.com").names == ("one.example.com",)
    assert proxy.look_at_certificate("two.example.com").names == ("two.example.com",)

    Path(pairs[1]["key_file"]).write_text("half a ke")
    proxy.process.wait_for_log("stay as they were")
    assert "two.example.com.key" in proxy.process.wait_for_status(503)
    assert proxy.look_at_certificate("two.example.com").names == ("two.example.com",)

    before = proxy.look_at_certificate("two.example.com").chain_pem
    write_pair(tmp_path, "two.example.com")
    wait_until(lambda: proxy.look_at_certificate("two.example.com").chain_pem != before, "the new one is shown")
    assert "signs itself" not in proxy.process.log


def test_auth_and_proxy_may_be_one_process(make_auth: AuthFactory, processes: Processes) -> None:
    address = processes.reserve_address()
    sections = {"proxy_service": {"enabled": "yes", "web_listen_addr": str(address), "public_addr": "one.example.com"}}
    auth = make_auth("both", sections=sections).start()
    auth.wait_for_record("auth", "proxy")
    context = build_credulous_context()
    with (
        socket.create_connection((address.host, address.port), timeout=PATIENCE) as plain,
        context.wrap_socket(plain, server_hostname=CLUSTER) as connection,
    ):
        connection.sendall(b"GET /webapi/find HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        assert b'"cluster_name":"example.com"' in read_all(connection)
    assert auth.process.stop() == 0


def test_a_port_that_is_taken_is_said_and_tried_again(auth: AuthServer, processes: Processes, tmp_path: Path) -> None:
    proxy = Proxy(processes, tmp_path / "late", auth)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        other.bind((proxy.address.host, proxy.address.port))
        other.listen()
        proxy.process.start()
        assert "cannot listen on" in proxy.process.wait_for_status(503)
    wait_until(lambda: "listens on" in proxy.process.log, "the proxy listens after all")
    assert proxy.get("/webapi/find")[0] == 200


def test_a_proxy_that_is_stopped_vanishes_from_the_list(auth: AuthServer, processes: Processes, tmp_path: Path) -> None:
    proxy = Proxy(processes, tmp_path / "leaving", auth).start()
    auth.wait_for_record("leaving", "proxy")
    with proxy.connect() as idle:
        assert proxy.process.stop() == 0
        assert read_all(idle) == b""
    wait_until(lambda: "leaving" not in auth.list_hostnames("proxy"), "it is not listed any more")


def test_metrics_tell_of_the_public_port(proxy: Proxy) -> None:
    proxy.get("/webapi/find")
    _, text = proxy.process.fetch("/metrics")
    assert "teleport_connections_accepted_total" in text
    assert "process_state 0.0" in text
