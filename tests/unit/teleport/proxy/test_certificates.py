import asyncio
import logging
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

import pytest

from support.clock import FakeClock
from support.tls_certificates import ThrowawayAuthority
from support.virtual_time import run_in_virtual_time
from teleport.config.settings import KeyPairFiles, ProxySettings
from teleport.errors import BadParameter, StorageError
from teleport.pki.web_certificate import WebCertificate
from teleport.proxy.certificates import LIFE, RENEWAL, SELF_SIGNED_FILE, WebCertificates
from teleport.resources.address import Address

PUBLIC = ProxySettings(public_addrs=(Address("Proxy.example.com", 443),))


def write_pair(folder: Path, name: str = "proxy.example.com") -> KeyPairFiles:
    """Write a pair as somebody's tool does; written again it is another one."""
    leaf = ThrowawayAuthority.create().issue(name)
    files = KeyPairFiles(key_file=folder / f"{name}.key", cert_file=folder / f"{name}.crt")
    files.key_file.write_text(leaf.key_pem)
    files.cert_file.write_text(leaf.certificate_pem)
    return files


def build(folder: Path, settings: ProxySettings = PUBLIC, clock: FakeClock | None = None) -> WebCertificates:
    return WebCertificates(settings, data_dir=folder, nodename="front", clock=clock or FakeClock())


def test_without_files_a_certificate_is_made_for_the_proxys_names_and_the_log_says_so(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (made,) = build(tmp_path).load()
    assert made.names == ("proxy.example.com", "front", "localhost", "127.0.0.1", "::1")
    assert "signs itself" in caplog.text
    assert (tmp_path / SELF_SIGNED_FILE).stat().st_mode & 0o777 == 0o600


def test_a_certificate_made_here_is_the_same_after_a_restart(tmp_path: Path) -> None:
    assert build(tmp_path / "new").load() == build(tmp_path / "new").load()


@pytest.mark.parametrize(("left", "kept"), [(RENEWAL + timedelta(seconds=2), True), (RENEWAL, False)])
def test_it_is_made_anew_in_time(tmp_path: Path, left: timedelta, kept: bool) -> None:
    clock = FakeClock()
    made = build(tmp_path, clock=clock).load()
    clock.advance(LIFE - left)
    assert (build(tmp_path, clock=clock).load() == made) == kept


def test_it_is_made_anew_for_another_name(tmp_path: Path) -> None:
    made = build(tmp_path).load()
    assert build(tmp_path, ProxySettings()).load() == made
    other = ProxySettings(public_addrs=(Address("other.example.com", 443),))
    assert build(tmp_path, other).load() != made


def test_a_file_that_is_damaged_is_made_anew(tmp_path: Path) -> None:
    (tmp_path / SELF_SIGNED_FILE).write_text("half a certif")
    assert build(tmp_path).load() == build(tmp_path).load()


def test_a_data_directory_that_cannot_be_used_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot keep the web certificate"):
        build(tmp_path / "file").load()


def test_pairs_are_read_in_their_order_and_none_is_made(tmp_path: Path) -> None:
    pairs = (write_pair(tmp_path, "b.example.com"), write_pair(tmp_path, "a.example.com"))
    loaded = build(tmp_path, ProxySettings(keypairs=pairs)).load()
    assert [certificate.names for certificate in loaded] == [("b.example.com",), ("a.example.com",)]
    assert not (tmp_path / SELF_SIGNED_FILE).exists()


def test_a_pair_that_is_missing_is_named(tmp_path: Path) -> None:
    pair = write_pair(tmp_path)
    pair.cert_file.unlink()
    with pytest.raises(BadParameter, match=r"proxy\.example\.com\.crt"):
        build(tmp_path, ProxySettings(keypairs=(pair,))).load()


@pytest.mark.parametrize("content", ["", "no key", "other"])
def test_a_key_that_is_none_or_of_another_is_named(tmp_path: Path, content: str) -> None:
    pair = write_pair(tmp_path)
    pair.key_file.write_text(ThrowawayAuthority.create().issue("x").key_pem if content == "other" else content)
    with pytest.raises(BadParameter, match=r"proxy\.example\.com\.key"):
        build(tmp_path, ProxySettings(keypairs=(pair,))).load()


class Follower:
    """Certificates that are followed in virtual time, with what is heard of them."""

    def __init__(self, certificates: WebCertificates) -> None:
        self.certificates = certificates
        self.used: list[Sequence[WebCertificate]] = []
        self.reports: list[str | None] = []

    async def run(self, *steps: object) -> None:
        """Do a step each minute."""
        task = asyncio.create_task(self.certificates.follow(self.used.append, self.reports.append))
        await asyncio.sleep(0)
        for step in steps:
            if callable(step):
                step()
            await asyncio.sleep(90)
        task.cancel()


def test_new_files_are_taken_over_and_unchanged_ones_left_alone(tmp_path: Path) -> None:
    pair = write_pair(tmp_path)
    follower = Follower(build(tmp_path, ProxySettings(keypairs=(pair,))))
    run_in_virtual_time(follower.run(None, lambda: write_pair(tmp_path), None))
    assert len(follower.used) == 1
    assert follower.used[0] == follower.certificates.load()
    assert follower.reports == [None]


def test_a_broken_new_pair_keeps_the_old_one_says_so_once_and_is_tried_again(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    pair = write_pair(tmp_path)
    follower = Follower(build(tmp_path, ProxySettings(keypairs=(pair,))))
    run_in_virtual_time(
        follower.run(lambda: pair.key_file.write_text("half"), None, None, lambda: write_pair(tmp_path), None)
    )
    assert len(follower.used) == 1
    broken, mended = follower.reports
    assert broken is not None
    assert "stay as they were" in broken
    assert str(pair.key_file) in broken
    assert mended is None


def test_without_an_interval_files_are_read_at_start_only(tmp_path: Path) -> None:
    pair = write_pair(tmp_path)
    follower = Follower(build(tmp_path, ProxySettings(keypairs=(pair,), keypairs_reload_interval=timedelta())))
    run_in_virtual_time(follower.run(lambda: write_pair(tmp_path), *[None] * 100))
    assert not follower.used


def test_a_certificate_made_here_is_renewed_while_the_proxy_runs(tmp_path: Path) -> None:
    clock = FakeClock()
    certificates = build(tmp_path, clock=clock)
    (made,) = certificates.load()
    follower = Follower(certificates)
    run_in_virtual_time(follower.run(None, lambda: clock.advance(LIFE - RENEWAL), *[None] * 100))
    assert len(follower.used) == 1
    assert follower.used[0][0].not_after > made.not_after
