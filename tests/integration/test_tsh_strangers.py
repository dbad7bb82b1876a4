"""Whom `tsh` takes for a proxy: in this process, before servers that the test plays."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web

from support.tls_certificates import ThrowawayAuthority
from teleport.cli.tsh.cluster import find_proxy
from teleport.cli.tsh.session import Session
from teleport.errors import ConnectionFailed, TrustError, VersionRefused

AUTHORITY = ThrowawayAuthority.create()


@asynccontextmanager
async def serve(folder: Path, answer: dict[str, object], status: int = 200) -> AsyncIterator[str]:
    """Answer every request alike; yield the address."""
    leaf = AUTHORITY.issue()
    pem = folder / "leaf.pem"
    pem.write_text(leaf.certificate_pem + leaf.key_pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    async def handle(_: web.BaseRequest) -> web.StreamResponse:
        return web.json_response(answer, status=status)

    runner = web.ServerRunner(web.Server(handle))
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context).start()
    try:
        yield f"localhost:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


@pytest.fixture(autouse=True)
def known(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """Let this system know the authority."""
    path = tmp_path / "ca.pem"
    path.write_text(AUTHORITY.certificate_pem)
    monkeypatch.setenv("SSL_CERT_FILE", str(path))
    return path


def build_ping(version: str) -> dict[str, object]:
    return {"server_version": version, "cluster_name": "example.com", "what_is_new": 1}


async def test_a_proxy_is_found_whatever_newer_ones_say_beside(tmp_path: Path) -> None:
    async with serve(tmp_path, build_ping("2.0.0")) as proxy:
        address, told = await find_proxy(Session(proxy=proxy))
    assert (str(address), told.cluster_name, told.proxy.ssh.public_addr) == (proxy, "example.com", "")


@pytest.mark.parametrize("version", ["3.0.0", "nonsense", ""])
async def test_a_cluster_two_majors_apart_is_refused_before_a_password_is_asked_for(
    tmp_path: Path, version: str
) -> None:
    async with serve(tmp_path, build_ping(version)) as proxy:
        with pytest.raises(VersionRefused, match="may differ by one major version"):
            await find_proxy(Session(proxy=proxy))


async def test_who_says_so_goes_on_and_is_warned(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    async with serve(tmp_path, build_ping("3.0.0")) as proxy:
        await find_proxy(Session(proxy=proxy, skip_version_check=True))
    assert "WARNING: the cluster is of version '3.0.0'" in capsys.readouterr().err


async def test_a_certificate_for_another_name_is_refused(tmp_path: Path) -> None:
    async with serve(tmp_path, build_ping("1.0.0")) as proxy:
        with pytest.raises(TrustError, match="is not trusted here"):
            await find_proxy(Session(proxy=proxy.replace("localhost", "127.0.0.1")))


@pytest.mark.parametrize(("answer", "status"), [({}, 200), ({"error": "no"}, 404), (build_ping("x" * 65), 200)])
async def test_what_does_not_answer_as_a_proxy_is_none(tmp_path: Path, answer: dict[str, object], status: int) -> None:
    async with serve(tmp_path, answer, status) as proxy:
        with pytest.raises(ConnectionFailed, match="no proxy answers at localhost"):
            await find_proxy(Session(proxy=proxy))


async def test_without_a_port_all_that_was_tried_is_told() -> None:
    with pytest.raises(ConnectionFailed, match=r"localhost:443: .*; cannot talk to localhost:3080: "):
        await find_proxy(Session(proxy="localhost"))
