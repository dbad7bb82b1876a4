"""Who is not let in: one phrase for everyone who is refused, and the true reason for the cluster's operator."""

import asyncio
import json
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from support.cluster import Agent, AgentFactory, AuthFactory, AuthServer
from support.processes import wait_until
from support.secrecy import assert_untold
from support.strangers import Stranger
from teleport.errors import JoinRefused, TeleportError
from teleport.resources.model import render_time
from teleport.resources.strict_yaml import render_yaml

PUBLIC = JoinRefused.PUBLIC
SECRET = "static-secret-of-the-test"


def make_stranger(auth: AuthServer) -> Stranger:
    return Stranger(auth.address, auth.admin.host_ca_certificates)


def refuse(auth: AuthServer, token: str, **fields: Any) -> TeleportError:
    with pytest.raises(TeleportError) as caught:
        asyncio.run(make_stranger(auth).join(token, **fields))
    return caught.value


def wait_for_reason(auth: AuthServer, name: str, reason: str) -> dict[str, Any]:
    """Wait for the audit event of a refusal of a host, and return it."""

    def find() -> dict[str, Any] | None:
        events = [event for event in auth.read_audit("instance.join") if event.get("node_name") == name]
        return next((event for event in events if event.get("reason") == reason), None)

    return wait_until(find, f"audit tells of {name}: {reason}")


def assert_refused(auth: AuthServer, agent: Agent, reason: str, token: str) -> None:
    """The agent's log says what to do, audit says why, and nobody says the token."""
    agent.process.wait_for_log("cannot join: auth refused the join")
    event = wait_for_reason(auth, agent.name, reason)
    assert PUBLIC in agent.process.log
    assert "tctl tokens add" in agent.process.log
    assert event["code"] == "TJ002E"
    assert event["success"] is False
    assert event["remote_addr"] == "127.0.0.1"
    assert agent.process.fetch("/readyz")[0] == 400
    assert reason not in agent.process.log
    assert_untold(auth, token, agents=[agent])


def write_token(name: str, *roles: str, expires: datetime | None = None) -> str:
    metadata = {"name": name} | ({"expires": render_time(expires)} if expires else {})
    return render_yaml({"kind": "token", "version": "v2", "metadata": metadata, "spec": {"roles": list(roles)}})


def test_a_token_that_nobody_made_is_refused(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    token = "0123456789abcdef0123456789abcdef"

    agent = make_agent(auth, f"--token={token}", f"--ca-pin={pin}", name="unknown").start()

    assert_refused(auth, agent, "token_not_found", token)


def test_an_expired_token_is_refused(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    token = "expired-token-of-the-test"
    expires = datetime.now(UTC) + timedelta(seconds=1)
    auth.tctl("create", stdin=write_token(token, "Node", expires=expires))
    wait_until(lambda: datetime.now(UTC) > expires, "the token has expired")

    agent = make_agent(auth, f"--token={token}", f"--ca-pin={pin}", name="expired").start()

    assert_refused(auth, agent, "token_expired", token)


def test_a_revoked_token_is_refused(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    token = auth.add_token()
    auth.tctl("tokens", "rm", token)

    agent = make_agent(auth, f"--token={token}", f"--ca-pin={pin}", name="revoked").start()

    assert_refused(auth, agent, "token_not_found", token)


def test_a_token_for_a_bot_admits_no_host(auth: AuthServer, pin: str, make_agent: AgentFactory) -> None:
    token = "bot-token-of-the-test-1"
    document = write_token(token, "Bot").replace("spec:\n", "spec:\n  bot_name: robot\n")
    auth.tctl("create", stdin=document)

    agent = make_agent(auth, f"--token={token}", f"--ca-pin={pin}", name="no-bot").start()

    assert_refused(auth, agent, "role_not_granted", token)


def test_a_service_that_the_token_does_not_grant_stays_out(
    auth: AuthServer, pin: str, make_agent: AgentFactory
) -> None:
    token = auth.add_token("app")

    agent = make_agent(auth, f"--token={token}", f"--ca-pin={pin}", name="only-app").start()

    agent.process.wait_for_log("service node cannot start")
    agent.process.wait_for_status(503)
    assert "only-app" not in auth.list_hostnames()
    refused = [event for event in auth.read_audit("cert.create") if event.get("reason") == "role_not_covered"]
    assert [event["host_id"] for event in refused][-1] == agent.host_id
    assert_untold(auth, token, agents=[agent])


def test_every_refusal_reads_the_same_to_the_caller(auth: AuthServer) -> None:
    token = auth.add_token("app")

    missing = refuse(auth, "a-token-that-is-missing")
    foreign_role = refuse(auth, token, role="Proxy")

    assert (missing.code, missing.message) == (foreign_role.code, foreign_role.message) == ("join_refused", PUBLIC)


def test_a_bot_token_is_good_for_one_key_and_the_same_answer(auth: AuthServer) -> None:
    token = "bot-token-of-the-test-2"
    auth.tctl("create", stdin=write_token(token, "Bot").replace("spec:\n", "spec:\n  bot_name: robot\n"))
    bot, other = make_stranger(auth), make_stranger(auth)

    answer = asyncio.run(bot.join(token, role="Bot"))
    again = asyncio.run(bot.join(token, role="Bot"))
    with pytest.raises(JoinRefused, match=PUBLIC):
        asyncio.run(other.join(token, role="Bot"))

    assert again == answer
    assert token not in auth.tctl("tokens", "ls", "--with-secrets")
    assert [event.get("reason") for event in auth.read_audit("bot.join")] == [None, "token_spent"]
    assert_untold(auth, token)


def test_static_tokens_admit_by_value_and_by_file_and_nothing_else(make_auth: AuthFactory) -> None:
    auth = make_auth()
    file = auth.folder / "tokenfile"
    file.write_text("token-from-a-file-of-the-test\n")
    file.chmod(0o600)
    auth.configure(tokens=[f"proxy,node:{SECRET}", f"app:{file}"])
    auth.start()

    by_value = asyncio.run(make_stranger(auth).join(SECRET, role="Node"))
    by_file = asyncio.run(make_stranger(auth).join("token-from-a-file-of-the-test", role="App"))

    assert (by_value.certificates.role, by_file.certificates.role) == ("Node", "App")
    assert refuse(auth, SECRET, role="App").message == PUBLIC
    assert refuse(auth, str(file), role="App").message == PUBLIC
    listed = json.loads(auth.tctl("tokens", "ls", "--format=json"))
    assert {token["metadata"]["labels"]["teleport.dev/origin"] for token in listed} == {"config-file"}
    assert "never" in auth.tctl("tokens", "ls")
    refused = auth.run_tctl("tokens", "rm", SECRET)
    assert (refused.returncode, "static" in refused.stderr) == (1, True)
    assert_untold(auth, SECRET, "token-from-a-file-of-the-test")


def test_a_static_token_is_gone_when_the_configuration_forgets_it(make_auth: AuthFactory) -> None:
    auth = make_auth(auth_service={"tokens": [f"node:{SECRET}"]}).start()
    asyncio.run(make_stranger(auth).join(SECRET))
    auth.auth_service = {}
    auth.configure()

    auth.restart()

    assert refuse(auth, SECRET).message == PUBLIC


@pytest.mark.parametrize(
    ("entry", "complaint"),
    [("node:short", "shorter than 8"), ("node:/no/such/file", "/no/such/file"), ("bot:long-enough-secret", "bots")],
)
def test_a_bad_static_token_keeps_auth_from_starting(make_auth: AuthFactory, entry: str, complaint: str) -> None:
    auth = make_auth(auth_service={"tokens": [entry]})

    auth.process.start()

    assert auth.process.wait_for_end() == 1
    assert complaint in auth.process.log
    assert not auth.data_dir.exists()
