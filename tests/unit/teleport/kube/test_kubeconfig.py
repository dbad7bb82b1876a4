import base64
from pathlib import Path
from typing import Any

import pytest

from teleport.errors import BadParameter
from teleport.kube.kubeconfig import load_kubeconfig
from teleport.resources.strict_yaml import render_yaml

SERVER = "https://10.0.0.1:6443"


def encode(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def write(folder: Path, cluster: dict[str, Any], user: dict[str, Any] | None) -> Path:
    """Write a kubeconfig of one context."""
    context = {"cluster": "c", **({} if user is None else {"user": "u"})}
    config = {
        "current-context": "x",
        "contexts": [{"name": "other", "context": {}}, {"name": "x", "context": context}],
        "clusters": [{"name": "c", "cluster": cluster}],
        "users": [] if user is None else [{"name": "u", "user": user}],
    }
    path = folder / "kubeconfig"
    path.write_text(render_yaml(config))
    return path


@pytest.fixture
def private(tmp_path: Path) -> Path:
    folder = tmp_path / "private"
    folder.mkdir(mode=0o700)
    return folder


def test_what_stands_in_the_file_is_written_where_only_this_process_reads(tmp_path: Path, private: Path) -> None:
    cluster = {"server": SERVER, "certificate-authority-data": encode("CA")}
    user = {"client-certificate-data": encode("CERT"), "client-key-data": encode("KEY")}
    server = load_kubeconfig(write(tmp_path, cluster, user), private)
    assert server.url == SERVER
    assert server.ca_file is not None
    assert server.ca_file.read_text() == "CA"
    assert server.client_certificate is not None
    assert [path.read_text() for path in server.client_certificate] == ["CERT", "KEY"]
    assert server.client_certificate[1].stat().st_mode & 0o077 == 0
    assert server.token_file is None


def test_files_are_found_beside_the_kubeconfig(tmp_path: Path, private: Path) -> None:
    cluster = {"server": SERVER, "certificate-authority": "pki/ca.crt"}
    server = load_kubeconfig(write(tmp_path, cluster, {"tokenFile": "/var/token"}), private)
    assert server.ca_file == tmp_path / "pki" / "ca.crt"
    assert server.token_file == Path("/var/token")


def test_a_token_is_written_to_a_file_of_its_own(tmp_path: Path, private: Path) -> None:
    cluster = {"server": SERVER, "certificate-authority": "ca.crt"}
    server = load_kubeconfig(write(tmp_path, cluster, {"token": "secret"}), private)
    assert server.token_file is not None
    assert server.token_file.read_text() == "secret"
    assert "secret" not in repr(server)


def test_kubectl_proxy_needs_neither_trust_nor_user(tmp_path: Path, private: Path) -> None:
    server = load_kubeconfig(write(tmp_path, {"server": "http://127.0.0.1:8001"}, None), private)
    assert (server.url, server.ca_file, server.token_file) == ("http://127.0.0.1:8001", None, None)


@pytest.mark.parametrize(
    ("cluster", "user", "message"),
    [
        ({"server": "http://10.0.0.1:8080"}, {}, "https"),
        ({"server": SERVER}, {}, "certificate-authority"),
        ({"server": SERVER, "certificate-authority-data": "%"}, {}, "base64"),
        ({"server": SERVER, "certificate-authority": "ca"}, {"exec": {"command": "aws"}}, "kubectl proxy"),
    ],
    ids=["plain http", "no trust", "no base64", "a helper program"],
)
def test_what_cannot_be_used_is_refused(
    tmp_path: Path, private: Path, cluster: dict[str, Any], user: dict[str, Any], message: str
) -> None:
    with pytest.raises(BadParameter, match=message):
        load_kubeconfig(write(tmp_path, cluster, user), private)


@pytest.mark.parametrize("text", ["", "[]", "current-context: x", "current-context: {a", "a: 1\na: 2"])
def test_what_is_no_kubeconfig_is_refused(tmp_path: Path, private: Path, text: str) -> None:
    path = tmp_path / "kubeconfig"
    path.write_text(text)
    with pytest.raises(BadParameter):
        load_kubeconfig(path, private)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, private: Path) -> None:
    with pytest.raises(BadParameter, match="nowhere"):
        load_kubeconfig(tmp_path / "nowhere", private)
