from pathlib import Path

import pytest

from teleport.errors import Unavailable
from teleport.kube.api_server import MAX_TOKEN_BYTES, ApiServer, TokenFile, find_in_cluster


def test_a_pod_finds_the_api_server_of_its_cluster(tmp_path: Path) -> None:
    environ = {"KUBERNETES_SERVICE_HOST": "10.0.0.1", "KUBERNETES_SERVICE_PORT": "443"}
    found = find_in_cluster(environ, tmp_path)
    assert found == ApiServer("https://10.0.0.1:443", tmp_path / "ca.crt", tmp_path / "token")


def test_an_ipv6_address_gets_its_brackets(tmp_path: Path) -> None:
    found = find_in_cluster({"KUBERNETES_SERVICE_HOST": "fd00::1", "KUBERNETES_SERVICE_PORT": "443"}, tmp_path)
    assert found is not None
    assert found.url == "https://[fd00::1]:443"


def test_outside_a_cluster_there_is_none() -> None:
    assert find_in_cluster({}) is None


def test_hostile_25_a_token_that_the_kubelet_replaced_is_read_anew(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("first\n")
    file = TokenFile(path)
    assert file.read() == "first"
    path.write_text("second\n")
    file.forget()
    assert file.read() == "second"


@pytest.mark.parametrize("content", ["", " \n", "x" * (MAX_TOKEN_BYTES + 1)])
def test_a_token_file_that_is_empty_or_too_large_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    with pytest.raises(Unavailable):
        TokenFile(path).read()


def test_a_missing_token_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(Unavailable, match="token"):
        TokenFile(tmp_path / "token").read()
