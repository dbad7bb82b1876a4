"""People at a live auth server: an invitation by `tctl`, its acceptance and logins by a proxy, the lock."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from support.cluster import AuthServer
from support.secrecy import assert_untold
from support.strangers import Stranger
from teleport.api import operations as ops
from teleport.api import people as p
from teleport.api.identity import Identity
from teleport.errors import AccessDenied, NotFound
from teleport.pki.totp import SKEW_STEPS, compute_code, find_step
from teleport.resources.strict_yaml import parse_documents

PASSWORD = "correct horse battery"
ROLE = """
kind: role
version: v7
metadata: {name: token-reader}
spec: {allow: {rules: [{resources: [token], verbs: [list]}]}}
"""


def join_as(auth: AuthServer, role: str) -> Identity:
    stranger = Stranger(auth.address, auth.admin.host_ca_certificates)
    return stranger.identity(asyncio.run(stranger.join(auth.add_token(role))))


@pytest.fixture(scope="module")
def proxy(auth: AuthServer) -> Identity:
    return join_as(auth, "proxy")


def add_user(auth: AuthServer, name: str, roles: str = "access") -> str:
    documents = list(parse_documents(auth.tctl("users", "add", name, f"--roles={roles}", "--format=yaml")))
    url = str(documents[0]["url"])
    assert "/web/invite/" in url
    return url.rpartition("/")[2]


def accept(auth: AuthServer, proxy: Identity, invite_id: str) -> str:
    """Accept an invitation and return the second factor's secret."""
    shown = auth.ask(ops.INVITE_SHOW, p.InviteShowRequest(invite_id=invite_id), proxy)
    # The present code, and not the next one, which is still to be used.
    code = compute_code(shown.totp_secret, find_step(datetime.now(UTC)))
    auth.ask(ops.INVITE_ACCEPT, p.InviteAcceptRequest(invite_id=invite_id, password=PASSWORD, code=code), proxy)
    return shown.totp_secret


def log_in(auth: AuthServer, proxy: Identity, user: str, secret: str, password: str = PASSWORD) -> p.WebSession:
    code = compute_code(secret, find_step(datetime.now(UTC)) + SKEW_STEPS)
    request = p.LoginRequest(user=user, password=password, code=code, remote_addr="203.0.113.9")
    return auth.ask(ops.LOGIN_WEB, request, proxy)


def test_an_invited_user_signs_in_and_is_locked_out_by_five_failures(auth: AuthServer, proxy: Identity) -> None:
    invite_id = add_user(auth, "alice")
    assert "Password" in auth.tctl("tokens", "ls")
    secret = accept(auth, proxy, invite_id)
    session = log_in(auth, proxy, "alice", secret)
    shown = auth.ask(ops.SESSION_SHOW, p.SessionRequest(session_id=session.session_id), proxy)
    assert (shown.user, shown.roles) == ("alice", ("access",))

    for _ in range(5):
        with pytest.raises(AccessDenied):
            log_in(auth, proxy, "alice", secret, "a wrong password")
    assert "locked until" in auth.tctl("users", "ls")

    auth.tctl("users", "reset", "alice")
    assert "locked until" not in auth.tctl("users", "ls")
    with pytest.raises(AccessDenied):
        auth.ask(ops.SESSION_SHOW, p.SessionRequest(session_id=session.session_id), proxy)
    auth.tctl("users", "rm", "alice")
    assert "alice" not in auth.tctl("users", "ls")
    assert_untold(auth, PASSWORD, invite_id, secret, session.session_id)


def test_a_link_that_was_revoked_lets_nobody_in(auth: AuthServer, proxy: Identity) -> None:
    invite_id = add_user(auth, "bob")
    line = next(line for line in auth.tctl("tokens", "ls").splitlines() if "teleport.dev/user=bob" in line)
    auth.tctl("tokens", "rm", line.split()[0])
    with pytest.raises(NotFound):
        accept(auth, proxy, invite_id)


def test_no_other_host_asks_about_people(auth: AuthServer) -> None:
    node = join_as(auth, "node")
    with pytest.raises(AccessDenied, match="may not create login"):
        auth.ask(ops.SESSION_SHOW, p.SessionRequest(session_id="x"), node)
    with pytest.raises(AccessDenied, match="may not create login"):
        auth.ask(ops.LOGIN_WEB, p.LoginRequest(user="alice", password=PASSWORD, code="000000"), node)


def test_a_role_of_ones_own_counts_in_an_identity_file(auth: AuthServer, tmp_path: Path) -> None:
    auth.tctl("create", stdin=ROLE)
    path = tmp_path / "reader.identity"
    auth.tctl("auth", "sign", "--user=reader", "--roles=token-reader", f"--out={path}")
    remote = (f"--auth-server={auth.address}", f"--identity={path}")
    assert auth.run_tctl(*remote, "tokens", "ls").returncode == 0
    assert auth.run_tctl(*remote, "users", "ls").returncode == 1
    auth.tctl("rm", "role/token-reader")
    assert auth.run_tctl(*remote, "tokens", "ls").returncode == 1
