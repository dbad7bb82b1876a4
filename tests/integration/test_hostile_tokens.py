"""Hostile and faulty uses of join tokens, by their numbers in the project's list of hostile inputs."""

import asyncio
import json
import shlex
import sqlite3
from collections import Counter
from contextlib import closing
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from support.auth import ADMIN, InProcessAuth, build_token
from support.cluster import PATIENT, AgentFactory, AuthFactory, AuthServer
from support.network_auth import build_clock, run_auth
from support.processes import Processes
from support.raw_client import send
from support.secrecy import assert_untold
from support.strangers import Stranger
from teleport.api.client import connect, open_client
from teleport.api.joined import generate_keys
from teleport.api.messages import DeleteRequest, Empty, ResourceRequest
from teleport.api.operations import PING, RESOURCE_CREATE, RESOURCE_DELETE
from teleport.api.trust import KnownAuthority
from teleport.auth.audit import PREFIX as AUDIT
from teleport.config.settings import ConnectionLimits, Rate
from teleport.errors import JoinRefused, LimitExceeded, TeleportError
from teleport.resources.role import SystemRole
from teleport.resources.strict_yaml import render_yaml
from teleport.web.tls import build_client_context

MILLISECOND = timedelta(milliseconds=1)
HOUR = timedelta(hours=1)
BOT = {"roles": ["Bot"], "bot_name": "robot"}
STRANGE_NAMES = {
    "newline": "first-line-of-token\nsecond: line",
    "carriage return": "token-of-the-test\r\nX-Injected: yes",
    "nul": "token-of-the-test\0hidden",
    "escape": "token-of-the-test\x1b[2J",
}
ODD_NAMES = {
    "leading dash": "--help-token-of-the-test",
    "percent": "token%0d%0aof-the-test",
    "quotes": """token-'"`$(touch pwned)`of-the-test""",
    "spaces": "token of the test with spaces",
}


@pytest.fixture(scope="module")
def auth(shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory) -> AuthServer:
    """An auth server that never loses patience with this machine."""
    return AuthServer(shared_processes, tmp_path_factory.mktemp("shared") / "auth", teleport=PATIENT).start()


async def create_token(auth: AuthServer, name: str, **spec: Any) -> None:
    document = {"kind": "token", "version": "v2", "metadata": {"name": name}, "spec": {"roles": ["Node"], **spec}}
    await auth.call(RESOURCE_CREATE, ResourceRequest(resource=document))


async def try_join(auth: AuthServer, token: str, **fields: Any) -> str:
    """Join as somebody new; return `success` or the error's code."""
    try:
        await Stranger(auth.address, auth.admin.host_ca_certificates).join(token, **fields)
    except TeleportError as error:
        return error.code
    return "success"


@pytest.mark.parametrize(
    ("name", "spec", "role"),
    [
        ("one-use-token-of-a-bot", BOT, "Bot"),
        ("one-use-token-of-a-host", {"limits": {"max_uses": 1}}, "Instance"),
    ],
)
async def test_hostile_26_of_64_joins_at_once_one_gets_the_token(
    auth: AuthServer, name: str, spec: dict[str, Any], role: str
) -> None:
    await create_token(auth, name, **spec)

    outcomes = Counter(await asyncio.gather(*(try_join(auth, name, role=role) for _ in range(64))))

    assert outcomes["success"] == 1
    assert outcomes["join_refused"] == 63
    event = "bot.join" if role == "Bot" else "instance.join"
    joined = [each for each in auth.read_audit(event) if each["success"]]
    assert len(joined) == 1
    assert_untold(auth, name)


async def test_hostile_28_setting_the_clock_back_revives_no_token(tmp_path: Path) -> None:
    clock = build_clock()
    async with run_auth(tmp_path, clock=clock, storage="sqlite") as auth:
        await auth.stores.tokens.create(build_token(expires=clock.now() + HOUR))
        await auth.make_stranger().join(build_token().name)
        clock.advance(HOUR + MILLISECOND)
        await refuse(auth.make_stranger())
        clock.set_back(HOUR)
        await refuse(auth.make_stranger())

    async with run_auth(tmp_path, clock=clock, storage="sqlite") as auth:
        await refuse(auth.make_stranger())


async def refuse(stranger: Stranger) -> None:
    with pytest.raises(JoinRefused):
        await stranger.join(build_token().name)


async def test_hostile_29_guessing_is_cut_short_counted_and_told_in_one_line(tmp_path: Path) -> None:
    limits = replace(ConnectionLimits(), anonymous_requests=Rate(HOUR, average=1, burst=1_000_000))
    clock, guesses, judged = build_clock(), 2000, limits.refused_joins.burst
    async with run_auth(tmp_path, clock=clock, limits=limits) as auth:
        stranger = auth.make_stranger()
        context = build_client_context(ca_pems=auth.authority.host_ca_certificates)
        async with open_client(auth.address, KnownAuthority(context)) as client:
            outcomes: Counter[str] = Counter()
            for number in range(guesses):
                try:
                    await stranger.join_over(client, f"guess-number-{number:04}")
                except (JoinRefused, LimitExceeded) as error:
                    outcomes[error.code] += 1
        await auth.server._limits.flush()

        assert outcomes == {"join_refused": judged, "limit_exceeded": guesses - judged}
        events = [json.loads(item.value) for item in await auth.stores.backend.range(AUDIT)]
        counted = Counter(event["event"] for event in events)
        assert counted == {"instance.join": judged, "join.limited": 1}
        assert [each["attempts"] for each in events if each["event"] == "join.limited"] == [guesses - judged]
        labels = {"method": "unknown", "outcome": "refused", "reason": "limit_exceeded"}
        assert auth.registry.get_sample_value("teleport_joins_total", labels) == guesses - judged
        assert not any("guess-number" in json.dumps(event) for event in events)


async def test_hostile_29_success_is_free_however_many_join(tmp_path: Path) -> None:
    async with run_auth(tmp_path, clock=build_clock()) as auth:
        await auth.stores.tokens.create(build_token())

        for _ in range(ConnectionLimits().refused_joins.burst + 10):
            await auth.make_stranger().join(build_token().name)


async def test_hostile_30_every_refusal_costs_the_same_work() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token("a-token-that-is-over-now", expires=auth.clock.now() + MILLISECOND)
    await auth.add_token("a-token-for-applications", SystemRole.APP)
    await auth.add_token("a-token-that-is-deleted-")
    await auth.tokens.delete("a-token-that-is-deleted-", "", ADMIN)
    auth.clock.advance(HOUR / 60)

    calls, answers = [], []
    for name in ("a-token-that-is-missing-", "a-token-that-is-over-now", "a-token-for-applications"):
        auth.backend.calls.clear()
        with pytest.raises(JoinRefused) as caught:
            await auth.join(name, role="Proxy")
        calls.append(dict(auth.backend.calls))
        answers.append(caught.value.message)

    assert calls[0] == calls[1] == calls[2]
    assert set(answers) == {JoinRefused.PUBLIC}


@pytest.mark.parametrize("name", STRANGE_NAMES.values(), ids=STRANGE_NAMES)
def test_hostile_31_a_name_that_could_act_when_printed_is_refused(auth: AuthServer, name: str) -> None:
    document = {"kind": "token", "version": "v2", "metadata": {"name": name}, "spec": {"roles": ["Node"]}}

    by_api, answer = send(auth, "/v1/resources/create", {"resource": document}, identity=auth.admin)
    by_yaml = auth.run_tctl("create", stdin=render_yaml(document))
    keys = generate_keys().build_public_keys("host").model_dump()
    by_join, refusal = send(auth, "/v1/join", {"token_name": name, "keys": keys})

    assert (by_api, by_yaml.returncode, by_join) == (400, 1, 400)
    for text in (answer["error"]["message"], by_yaml.stderr, refusal["error"]["message"]):
        assert "control character" in text
        assert "token-of" not in text
    if "\0" not in name:
        by_flag = auth.run_tctl("tokens", "add", "--type=node", f"--value={name}")
        assert by_flag.returncode != 0
        assert len(by_flag.stderr.strip().splitlines()) <= 4
    assert "X-Injected" not in auth.process.log
    assert "second: line" not in auth.process.log


@pytest.mark.parametrize("name", ODD_NAMES.values(), ids=ODD_NAMES)
def test_hostile_31_an_odd_name_is_quoted_and_stays_what_it_is(
    auth: AuthServer, pin: str, make_agent: AgentFactory, name: str
) -> None:
    invitation = auth.tctl("tokens", "add", "--type=node", f"--value={name}")

    command = invitation[invitation.index("> teleport") + 2 : invitation.index("\n\nPlease note")]
    assert f"--token={name}" in shlex.split(command.replace("\\\n", ""))
    agent = make_agent(auth, f"--token={name}", f"--ca-pin={pin}", name="odd").start().wait_until_ready()
    assert json.loads(auth.tctl("tokens", "ls", "--format=json", "--with-secrets"))
    assert auth.tctl("tokens", "rm", "--", name) == f"Token {name} has been deleted\n"
    assert_untold(auth, name, agents=[agent])


def test_hostile_31_an_endless_name_is_refused_on_every_way_in(auth: AuthServer) -> None:
    name = "x" * 1_000_000
    document = {"kind": "token", "version": "v2", "metadata": {"name": name}, "spec": {"roles": ["Node"]}}
    keys = generate_keys().build_public_keys("host").model_dump()

    too_large, _ = send(auth, "/v1/join", {"token_name": name, "keys": keys})
    too_long, answer = send(auth, "/v1/join", {"token_name": "x" * 1025, "keys": keys})
    by_api, _ = send(auth, "/v1/resources/create", {"resource": document}, identity=auth.admin)
    by_yaml = auth.run_tctl("create", stdin=render_yaml(document))
    by_flag = auth.run_tctl("tokens", "add", "--type=node", f"--value={'x' * 100_000}")

    assert (too_large, too_long, by_api) == (413, 400, 400)
    assert "token_name" in answer["error"]["message"]
    assert (by_yaml.returncode, len(by_yaml.stderr) < 300) == (1, True)
    assert by_flag.returncode != 0
    assert len(by_flag.stderr) < 1000


def test_hostile_31_an_agent_refuses_a_token_with_a_line_break(auth: AuthServer, make_agent: AgentFactory) -> None:
    agent = make_agent(auth, "--token=token\nof-the-test", "--insecure-skip-ca-pin").start()

    assert agent.process.wait_for_end() == 1
    assert "control character" in agent.process.log
    assert "of-the-test" not in agent.process.log


@pytest.mark.parametrize("roles", [["App", "App"], ["App", "aPP"], ["App", "Nobody"], ["App", ""], []])
def test_hostile_33_a_token_with_a_bad_list_of_roles_is_not_stored_at_all(auth: AuthServer, roles: list[str]) -> None:
    document = {
        "kind": "token",
        "version": "v2",
        "metadata": {"name": "bad-roles-of-the-test"},
        "spec": {"roles": roles},
    }

    status, _ = send(auth, "/v1/resources/create", {"resource": document}, identity=auth.admin)

    assert status == 400
    assert "bad-roles-of-the-test" not in auth.tctl("tokens", "ls", "--with-secrets")


def test_hostile_35_no_join_succeeds_after_the_deletion(make_auth: AuthFactory) -> None:
    auth = make_auth(teleport=PATIENT).start()
    token = auth.add_token()

    outcomes = asyncio.run(join_while_deleting(auth, token, joins=100))
    auth.process.stop()

    with closing(sqlite3.connect(f"file:{auth.store}?mode=ro", uri=True)) as store:
        rows = store.execute("SELECT revision, value FROM items WHERE key LIKE 'audit/%'").fetchall()
    events = [(revision, json.loads(value)) for revision, value in rows]
    deleted = next(revision for revision, event in events if event["event"] == "join_token.delete")
    joined = [revision for revision, event in events if event["event"] == "instance.join" and event["success"]]
    assert max(joined) < deleted
    assert len(joined) == outcomes.count("success") > 0
    assert outcomes.count("join_refused") == 101 - len(joined) > 0
    assert outcomes[-1] == "join_refused"


async def join_while_deleting(auth: AuthServer, token: str, *, joins: int) -> list[str]:
    """Delete the token in the middle of many joins; the last outcome is of a join after that."""
    async with connect(auth.address, auth.admin) as admin:
        await admin.call(PING, Empty())
        tasks = [asyncio.create_task(try_join(auth, token)) for _ in range(joins)]
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        await admin.call(RESOURCE_DELETE, DeleteRequest(kind="token", name=token))
        return [*await asyncio.gather(*tasks), await try_join(auth, token)]
