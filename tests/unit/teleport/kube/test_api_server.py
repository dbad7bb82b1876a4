import ssl
from pathlib import Path

import pytest

from support.clock import FakeClock
from teleport.kube.api_server import MAX_TOKEN_BYTES, REREAD_PAUSE, ApiServer, TokenFile, find_in_cluster
from teleport.kube.errors import BadAnswer


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
    file = TokenFile(path, FakeClock())
    assert file.read() == "first"
    path.write_text("second\n")
    file.forget()
    assert file.read() == "second"


@pytest.mark.parametrize("content", ["", " \n", "x" * (MAX_TOKEN_BYTES + 1)])
def test_a_token_file_that_is_empty_or_too_large_is_refused(tmp_path: Path, content: str) -> None:
    path = tmp_path / "token"
    path.write_text(content)
    with pytest.raises(BadAnswer):
        TokenFile(path, FakeClock()).read()


def test_a_missing_token_file_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(BadAnswer) as refusal:
        TokenFile(tmp_path / "token", FakeClock()).read()
    assert str(tmp_path / "token") in refusal.value.detail


def test_hostile_25_a_token_that_was_replaced_is_seen_after_a_second(tmp_path: Path) -> None:
    path, clock = tmp_path / "token", FakeClock()
    path.write_text("first")
    file = TokenFile(path, clock)
    assert file.read() == "first"
    path.write_text("second")
    assert file.read() == "first"
    clock.advance(REREAD_PAUSE)
    assert file.read() == "second"


def test_hostile_25_while_the_file_is_away_there_is_no_token_and_then_there_is_one(tmp_path: Path) -> None:
    path, clock = tmp_path / "token", FakeClock()
    file = TokenFile(path, clock)
    with pytest.raises(BadAnswer):
        file.read()
    path.write_text("first")
    assert file.read() == "first"


@pytest.mark.parametrize("content", ["a b", "a\r\nX-Evil: 1", "a\x00b", "\u0430", "a,b"])
def test_a_token_that_could_end_a_header_is_refused_and_not_shown(tmp_path: Path, content: str) -> None:
    path = tmp_path / "own"
    path.write_text(content)
    with pytest.raises(BadAnswer) as refusal:
        TokenFile(path, FakeClock()).read()
    assert content not in refusal.value.detail


def test_a_token_as_large_as_allowed_is_read(tmp_path: Path) -> None:
    path = tmp_path / "token"
    path.write_text("x" * MAX_TOKEN_BYTES)
    assert len(TokenFile(path, FakeClock()).read()) == MAX_TOKEN_BYTES


@pytest.mark.parametrize(
    "content", ["", "no certificate", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"]
)
def test_a_ca_file_without_a_certificate_is_refused(tmp_path: Path, content: str) -> None:
    (tmp_path / "ca.crt").write_text(content)
    server = ApiServer("https://localhost", tmp_path / "ca.crt", tmp_path / "token")
    with pytest.raises(BadAnswer) as refusal:
        server.load_trust(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    assert "no CA certificate" in refusal.value.detail
