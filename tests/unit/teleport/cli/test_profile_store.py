import os
import stat
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from support.logins import build_profile
from teleport.cli.private_home import MAX_FILE_BYTES
from teleport.cli.profile import Profile
from teleport.cli.profile_store import ProfileStore, find_home
from teleport.errors import AccessDenied, BadParameter, NotFound, StorageError

ALICE = build_profile()
FILE = "teleport.example.com_443.json"
OTHER = build_profile(proxy="other.example.com:3080", user="bob")


@pytest.fixture
def store(tmp_path: Path) -> ProfileStore:
    return ProfileStore(tmp_path / "tsh")


def list_files(folder: Path) -> Iterator[Path]:
    return (path for path in folder.rglob("*") if path.is_file())


def test_the_environment_names_the_home() -> None:
    assert find_home({"TELEPORT_HOME": "/somewhere"}) == Path("/somewhere")
    assert find_home({}) == Path.home() / ".tsh"


def test_what_was_stored_is_found_at_its_proxy_and_meant_from_then_on(store: ProfileStore) -> None:
    store.store(ALICE)
    store.store(OTHER)
    assert store.load() == OTHER
    assert store.load(ALICE.address) == ALICE
    assert store.list_all() == [OTHER, ALICE]


def test_everything_is_its_users_alone(store: ProfileStore, tmp_path: Path) -> None:
    store.store(ALICE)
    store.apps.store(ALICE, "grafana")
    modes = {stat.S_IMODE(path.stat().st_mode) for path in list_files(tmp_path)}
    folders = {stat.S_IMODE(path.stat().st_mode) for path in (tmp_path / "tsh").rglob("*") if path.is_dir()}
    assert (modes, folders) == ({0o600}, {0o700})
    assert stat.S_IMODE((tmp_path / "tsh").stat().st_mode) == 0o700


def test_nobody_is_logged_in_at_first(store: ProfileStore, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="not logged in: log in with"):
        store.load()
    with pytest.raises(NotFound, match="not logged in at other"):
        store.load(OTHER.address)
    assert (store.list_all(), list(tmp_path.iterdir())) == ([], [])


def test_a_login_that_is_removed_takes_its_applications_with_it_and_leaves_the_others(
    store: ProfileStore, tmp_path: Path
) -> None:
    store.store(OTHER)
    store.apps.store(OTHER, "grafana")
    store.store(ALICE)
    store.apps.store(ALICE, "grafana")
    store.remove(ALICE.address)
    assert store.apps.list_names(ALICE.address) == []
    assert store.list_all() == [OTHER]
    with pytest.raises(NotFound):
        store.load()
    store.remove_all()
    assert list(list_files(tmp_path)) == []


def test_applications_hold_key_and_certificate_in_one_file(store: ProfileStore) -> None:
    store.store(ALICE)
    store.apps.store(ALICE, "grafana")
    pem, authorities = store.apps.find(ALICE.address, "grafana")
    assert pem.read_text() == ALICE.identity.tls_key + ALICE.identity.tls_certificate
    assert authorities.read_text() == ALICE.identity.host_ca_certificates[0]
    assert store.apps.list_names(ALICE.address) == ["grafana"]
    assert store.apps.remove(ALICE.address, "grafana")
    assert not store.apps.remove(ALICE.address, "grafana")


def test_a_new_login_ends_what_the_old_one_had_made_for_applications(store: ProfileStore) -> None:
    store.store(ALICE)
    store.apps.store(ALICE, "grafana")
    store.store(ALICE)
    assert store.apps.list_names(ALICE.address) == []


@pytest.mark.parametrize("name", ["", "..", "../../x", "a/b", "a.ca", "A", "x" * 64, "-x", "\x1b[2J"])
def test_hostile_names_of_applications_become_no_file(store: ProfileStore, tmp_path: Path, name: str) -> None:
    with pytest.raises(BadParameter):
        store.apps.store(ALICE, name)
    assert list(list_files(tmp_path)) == []


@pytest.mark.parametrize("host", ["..", "...", "a..b"])
def test_hostile_names_of_proxies_stay_in_the_folder(store: ProfileStore, tmp_path: Path, host: str) -> None:
    store.store(build_profile(proxy=f"{host}:443"))
    assert all((tmp_path / "tsh") in path.parents for path in list_files(tmp_path))
    assert store.load().proxy == f"{host}:443"


def test_no_name_of_a_file_has_the_colon_at_which_curl_expects_a_password(store: ProfileStore, tmp_path: Path) -> None:
    for proxy in ("teleport.example.com:443", "[2001:db8::1]:3080"):
        profile = build_profile(proxy=proxy)
        store.store(profile)
        store.apps.store(profile, "grafana")
        assert store.load() == profile
    assert not any(":" in str(path.relative_to(tmp_path)) for path in list_files(tmp_path))
    assert len(store.list_all()) == 2


@pytest.mark.parametrize("content", [b"", b"{}", b"\xff\xfe", b"[" * 10_000, ALICE.model_dump_json().encode()[:-9]])
def test_a_file_that_is_no_login_says_what_to_do_and_hides_no_other(
    store: ProfileStore, tmp_path: Path, content: bytes
) -> None:
    store.store(OTHER)
    store.store(ALICE)
    tmp_path.joinpath("tsh", "profiles", FILE).write_bytes(content)
    with pytest.raises(StorageError, match="is no login: remove it, or log in again") as refusal:
        store.load()
    assert "PRIVATE" not in refusal.value.message
    assert store.list_all() == [OTHER]


def test_a_login_under_the_name_of_another_proxy_is_refused(store: ProfileStore, tmp_path: Path) -> None:
    store.store(ALICE)
    folder = tmp_path / "tsh" / "profiles"
    folder.joinpath(FILE).rename(folder / "other.example.com_3080.json")
    with pytest.raises(StorageError, match="is a login at teleport"):
        store.load(OTHER.address)


@pytest.mark.parametrize(("size", "fits"), [(MAX_FILE_BYTES, True), (MAX_FILE_BYTES + 1, False)])
def test_a_file_is_read_up_to_its_limit(store: ProfileStore, tmp_path: Path, size: int, *, fits: bool) -> None:
    store.store(ALICE)
    path = tmp_path / "tsh" / "profiles" / FILE
    path.write_bytes(path.read_bytes().ljust(size))
    if fits:
        assert store.load() == ALICE
    else:
        with pytest.raises(StorageError, match="no regular file of at most"):
            store.load()


def test_a_current_profile_that_names_nothing_is_said(store: ProfileStore, tmp_path: Path) -> None:
    store.store(ALICE)
    tmp_path.joinpath("tsh", "current-profile").write_text("../../etc/passwd\n")
    with pytest.raises(StorageError, match="does not name a proxy"):
        store.load()


@pytest.mark.parametrize("mode", [0o770, 0o707])
def test_a_folder_in_which_others_may_write_is_not_believed(store: ProfileStore, tmp_path: Path, mode: int) -> None:
    store.store(ALICE)
    (tmp_path / "tsh").chmod(mode)
    for action in (store.load, store.list_all, lambda: store.store(ALICE), lambda: store.apps.store(ALICE, "x")):
        with pytest.raises(AccessDenied, match="chmod 700"):
            action()


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(StorageError, match="cannot keep logins in"):
        ProfileStore(tmp_path / "file" / "tsh").store(ALICE)


class PowerCut(BaseException):
    """The machine stops here."""


def test_a_crash_at_any_write_leaves_the_old_login_or_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    new = build_profile(roles=("editor",))
    seen: set[tuple[str, ...]] = set()
    for stop in range(20):
        home = tmp_path / str(stop)
        store = ProfileStore(home)
        store.store(ALICE)
        store.apps.store(ALICE, "grafana")
        with monkeypatch.context() as patch:
            _stop_after(stop, patch)
            with suppress(PowerCut):
                store.store(new)
        found: Profile = store.load()
        assert found in (ALICE, new)
        seen.add(found.roles)
        if found == ALICE and store.apps.list_names(ALICE.address):
            assert store.apps.find(ALICE.address, "grafana")[0].read_text().startswith("-----BEGIN PRIVATE")
    assert seen == {("access",), ("editor",)}


def _stop_after(count: int, patch: pytest.MonkeyPatch) -> None:
    """Let the power fail at the call of that number among those that change what is on the disk."""
    done: list[str] = []

    def wrap(name: str, original: object) -> object:
        def call(*arguments: object, **options: object) -> object:
            done.append(name)
            if len(done) > count:
                raise PowerCut
            return original(*arguments, **options)  # type: ignore[operator]  # whatever it is, it is called

        return call

    for name in ("replace", "fsync", "unlink", "rename"):
        patch.setattr(os, name, wrap(name, getattr(os, name)))
