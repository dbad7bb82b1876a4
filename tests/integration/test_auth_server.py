"""An auth server on its host: what it needs to start, what it leaves behind, and what nobody can take from it."""

import hashlib
import os
import signal
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from support.cluster import AuthFactory, AuthServer
from support.processes import HOST, Process, Processes, wait_until
from support.secrecy import assert_untold, find_bytes

NOBODY = 65534
ITEMS = "SELECT key, value, revision FROM items"


def read_everything(auth: AuthServer) -> dict[str, str]:
    """Return every stored item, and the SHA-256 of every other file."""
    with closing(sqlite3.connect(f"file:{auth.store}?mode=ro", uri=True)) as store:
        items = {key: f"{revision} {value!r}" for key, value, revision in store.execute(ITEMS)}
    files = [path for path in auth.data_dir.rglob("*") if path.is_file() and path != auth.store]
    return items | {str(path): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def refuse_start(auth: AuthServer) -> str:
    """Start a server that must end at once with one error, and return the log."""
    auth.process.start()
    assert auth.process.wait_for_end() == 1
    assert "Traceback" not in auth.process.log
    return auth.process.log[auth.process.log.index("ERROR: ") :]


def test_a_second_server_on_the_same_data_is_refused(make_auth: AuthFactory) -> None:
    first = make_auth().start()
    second = make_auth("second", teleport={"data_dir": str(first.data_dir)})

    assert "in use by another process" in refuse_start(second)

    assert first.process.fetch("/readyz")[0] == 200
    assert first.tctl("status").startswith("Cluster")


def test_another_seal_key_is_refused_and_changes_nothing(make_auth: AuthFactory) -> None:
    auth, other = make_auth().start(), make_auth("other").start()
    auth.process.stop()
    seal_key, right = auth.data_dir / "seal.key", (auth.data_dir / "seal.key").read_bytes()
    seal_key.write_bytes((other.data_dir / "seal.key").read_bytes())
    before = read_everything(auth)

    complaint = refuse_start(auth)

    assert "is not the one that this store's secrets are under; nothing was changed" in complaint
    assert read_everything(auth) == before
    seal_key.write_bytes(right)
    auth.start()


def test_a_missing_seal_key_is_refused_and_changes_nothing(make_auth: AuthFactory) -> None:
    auth = make_auth().start()
    auth.process.stop()
    right = (auth.data_dir / "seal.key").read_bytes()
    (auth.data_dir / "seal.key").unlink()
    before = read_everything(auth)

    complaint = refuse_start(auth)

    assert "seal.key is missing" in complaint
    assert read_everything(auth) == before
    (auth.data_dir / "seal.key").write_bytes(right)
    auth.start()


def test_a_seal_key_may_lie_elsewhere(make_auth: AuthFactory) -> None:
    auth = make_auth()
    elsewhere = auth.folder / "elsewhere.key"
    auth.configure(seal={"key_file": str(elsewhere)})

    auth.start()

    assert elsewhere.stat().st_mode & 0o777 == 0o600
    assert not (auth.data_dir / "seal.key").exists()


def test_another_cluster_name_is_refused_and_changes_nothing(make_auth: AuthFactory) -> None:
    auth = make_auth().start()
    auth.process.stop()
    before = read_everything(auth)
    auth.configure(cluster_name="other.example.com", tokens=["node:another-token-of-the-test"])

    complaint = refuse_start(auth)

    assert "this cluster is called 'example.com' and cannot become 'other.example.com'" in complaint
    assert read_everything(auth) == before


def test_a_port_in_use_is_named(make_auth: AuthFactory) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        auth = make_auth(auth_service={"listen_addr": f"{HOST}:{port}"})

        assert f"cannot listen on {HOST} port {port}: Address already in use" in refuse_start(auth)


@pytest.fixture
def protected_folder() -> Iterator[Path]:
    """A folder that everybody reaches and nobody but root may write to."""
    with TemporaryDirectory() as name:
        Path(name).chmod(0o555)
        yield Path(name)


def test_a_folder_that_must_not_be_written_is_named(
    processes: Processes, tmp_path: Path, protected_folder: Path
) -> None:
    folder = protected_folder
    drop = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups") if os.geteuid() == 0 else ()
    command = (*drop, "teleport", "start", "--roles=auth", f"--data-dir={folder}", f"--listen-ip={HOST}")
    process = Process(command, log=tmp_path / "log", diag=processes.reserve_address())
    processes.add(process)

    process.start()

    assert process.wait_for_end() == 1
    assert f"ERROR: no permission to write to {folder}" in process.log
    assert list(folder.iterdir()) == []


def test_a_folder_that_others_may_enter_is_refused(make_auth: AuthFactory) -> None:
    auth = make_auth()
    auth.store.parent.mkdir(parents=True)
    auth.store.parent.chmod(0o755)

    assert "chmod 700" in refuse_start(auth)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_it_in_peace(make_auth: AuthFactory, number: signal.Signals) -> None:
    auth = make_auth().start()

    auth.process.send(number)

    assert auth.process.wait_for_end() == 0
    assert auth.process.log.count("ERROR") == 0


def test_sighup_takes_up_new_static_tokens_in_the_same_process(make_auth: AuthFactory) -> None:
    auth = make_auth().start()
    pid = auth.process.pid
    auth.configure(tokens=["node:static-secret-of-the-test"])

    auth.process.send(signal.SIGHUP)

    wait_until(lambda: "never" in auth.run_tctl("tokens", "ls").stdout, "the static token is listed")
    assert auth.process.pid == pid
    assert auth.process.is_alive()


def test_a_stolen_database_tells_no_token_and_no_key(make_auth: AuthFactory) -> None:
    auth = make_auth(auth_service={"tokens": ["node:static-secret-of-the-test"]}).start()
    tokens = [auth.add_token(), auth.add_token("app"), "static-secret-of-the-test"]
    auth.tctl("tokens", "rm", tokens[1])
    for running in (True, False):
        needles = [*(token.encode() for token in tokens), b"PRIVATE KEY", b"-----BEGIN"]
        assert find_bytes(auth.store.parent, needles) == []
        if running:
            auth.process.stop()
    assert b"PRIVATE KEY" in (auth.data_dir / "admin.identity").read_bytes()
    assert (auth.data_dir / "admin.identity").stat().st_mode & 0o777 == 0o600


def test_the_audit_file_may_be_moved_away(make_auth: AuthFactory) -> None:
    auth = make_auth().start()
    path = auth.data_dir / "audit.jsonl"
    auth.add_token()
    wait_until(auth.read_audit, "the first event is written")

    path.rename(auth.data_dir / "audit.old")
    auth.add_token()

    wait_until(path.exists, "a new file is begun")
    assert [event["event"] for event in auth.read_audit()] == ["join_token.create"]
    assert path.stat().st_mode & 0o777 == 0o600
    assert_untold(auth)


def test_the_files_of_the_data_directory_are_for_the_owner(make_auth: AuthFactory) -> None:
    auth = make_auth().start()

    for path in (auth.data_dir, *auth.data_dir.rglob("*")):
        assert path.stat().st_mode & 0o077 == 0, path


def test_a_restart_keeps_cluster_authorities_and_tokens(make_auth: AuthFactory) -> None:
    auth = make_auth().start()
    token, status = auth.add_token(), auth.tctl("status")

    auth.process.kill()
    auth.start()
    auth.restart()

    assert auth.tctl("status") == status
    assert token in auth.tctl("tokens", "ls", "--with-secrets")
