"""The cases of `tests/cases/join.yaml` against the real use cases."""

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.auth import ADMIN, ANONYMOUS, HOST_ID, SECRET, InProcessAuth, build_host, to_der
from support.strangers import build_request
from teleport.agent.joining import choose_trust
from teleport.agent.memory import AgentState
from teleport.agent.state import FileState
from teleport.api.joined import build_joined, generate_keys
from teleport.api.messages import JoinRequest
from teleport.api.trust import PinnedConnection
from teleport.auth.stores.static_tokens import StaticTokenStore
from teleport.config.settings import Settings
from teleport.errors import AlreadyExists, BadParameter, NotFound, TeleportError, TrustError
from teleport.pki.leaf import parse_leaf
from teleport.resources.address import Address
from teleport.resources.codec import parse_resource
from teleport.resources.model import Metadata, parse_model
from teleport.resources.role import SystemRole, parse_role, parse_roles
from teleport.resources.token import Token, check_token, generate_token_name, safe_name

AUTH = Address("auth.example.com", 3025)
DIFFERENCES = {
    "tok-005": "method ec2 is not supported, and a token that nobody could use is not stored",
    "tok-007": "the same",
    "tok-009": "the same",
    "tok-011": "the same, for iam",
    "gen-001": "a secret token without a life gets thirty minutes, however it was made",
    "reg-003": "auth assigns host ids, so that an absent one is fine",
    "reg-009": "a role that is not granted gives the one generic answer",
    "reg-011": "the same",
    "reg-013": "the record stays for a day, hidden, so that the audit log can tell an expired token from a guess",
    "bot-001": "the token stays for two minutes, hidden, so that a lost answer can be given once more",
    "bot-003": "a role that is not granted gives the one generic answer",
    "bot-005": "as for every unknown token",
    "join-011": "one request is for a host or for a bot by its role; a host's must not carry what is a bot's",
    "trust-001": "without a pin, a CA file or an explicit flag nothing is sent",
}
"""Cases of the original in which we do something else, and why."""

CASES: dict[str, list[dict[str, Any]]] = yaml.safe_load((Path(__file__).parents[2] / "cases" / "join.yaml").read_text())


def cases(section: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("case", CASES[section], ids=[case["id"] for case in CASES[section]])


def test_every_case_has_an_id_of_its_own() -> None:
    ids = [case["id"] for section in CASES.values() for case in section]
    assert len(set(ids)) == len(ids)


@cases("tokens_as_written")
async def test_a_token_as_written(case: dict[str, Any]) -> None:
    auth = await InProcessAuth.start()
    spec = {"roles": case.get("roles"), **case.get("spec", {})}
    raw = case.get("token", {"kind": "token", "metadata": {"name": "a-test-token"}, "spec": spec})
    if "error" in case:
        with pytest.raises(TeleportError, match=case["says"]) as caught:
            await auth.tokens.create(parse_resource({"kind": "token", **raw}), ADMIN)
        assert caught.value.code == case["error"]
        return
    created = await auth.tokens.create(parse_resource(raw), ADMIN)
    assert isinstance(created, Token)
    assert (created.kind, created.version, created.metadata.namespace) == ("token", "v2", "default")
    for field, value in case.get("filled", {}).items():
        found = getattr(created.spec, field)
        assert (list(found) if isinstance(found, tuple) else found) == value


@cases("roles_as_typed")
def test_roles_as_typed(case: dict[str, Any]) -> None:
    if "error" in case:
        with pytest.raises(BadParameter, match=case.get("says", "invalid role")):
            parse_roles(case["text"])
        return
    assert [role.value for role in parse_roles(case["text"])] == case["roles"]


@cases("roles_as_shown")
def test_roles_as_shown(case: dict[str, Any]) -> None:
    assert SystemRole(case["role"]).display_name == case["text"]


@pytest.mark.parametrize("role", list(SystemRole))
def test_every_canonical_role_is_read_back(role: SystemRole) -> None:
    assert parse_role(role.value) is role


@cases("safe_names")
def test_a_safe_name(case: dict[str, Any]) -> None:
    assert safe_name(case["name"], case["method"]) == case["text"]


@cases("joins")
async def test_a_join(case: dict[str, Any]) -> None:
    auth = await InProcessAuth.start()
    await store_token(auth, case.get("token"))
    caller = build_host(*(SystemRole(role) for role in case["caller"])) if "caller" in case else ANONYMOUS
    if "error" in case:
        with pytest.raises(TeleportError, match=case.get("says")) as caught:
            await auth.ask_to_join(make_request(auth, case["request"]), caller)
        assert caught.value.code == case["error"]
        await assert_refusal_is_recorded(auth, case)
        return
    answer = await auth.ask_to_join(make_request(auth, case["request"]), caller)
    assert (answer.host_id == HOST_ID) is (case["host_id"] == "unchanged")
    leaf = parse_leaf(to_der(answer.certificates.tls_certificate))
    assert (leaf.name, leaf.roles) == (answer.host_id, (case["request"]["role"],))
    assert list(leaf.system_roles) == case.get("system_roles", [])
    assert (await auth.last_event())["code"] == "TJ002I"


async def store_token(auth: InProcessAuth, token: dict[str, Any] | None) -> None:
    if token is None:
        return
    roles = [SystemRole(role) for role in token["roles"]]
    if token.get("static"):
        await auth.stores.static_tokens.replace([(tuple(roles), SECRET)])
        return
    bot_name = "robot" if SystemRole.BOT in roles else ""
    expires = auth.clock.now() + timedelta(minutes=token["expires"]) if "expires" in token else None
    await auth.add_token(SECRET, *roles, bot_name=bot_name, expires=expires)


def make_request(auth: InProcessAuth, fields: dict[str, Any]) -> JoinRequest:
    if not fields:
        return parse_model(JoinRequest, {}, "request")
    fields = dict(fields)
    if "expires" in fields:
        fields["expires"] = auth.clock.now() + timedelta(minutes=fields["expires"])
    name = fields.pop("token_name", SECRET)
    name = "X" + SECRET[1:] if name == "first-changed" else name
    keys: dict[str, Any] = {key: fields.pop(key) for key in ("csr", "ssh_public_key") if key in fields}
    request = build_request(generate_keys(), name, **fields)
    return request.model_copy(update={"keys": request.keys.model_copy(update=keys)})


async def assert_refusal_is_recorded(auth: InProcessAuth, case: dict[str, Any]) -> None:
    if "reason" not in case:
        return
    event = await auth.last_event()
    assert (event["event"], event["code"], event["success"]) == ("instance.join", "TJ002E", False)
    assert event["reason"] == case["reason"]
    assert event["remote_addr"] == ANONYMOUS.remote_addr
    if case["reason"] == "token_not_found":
        assert "token_name" not in event
        assert "method" not in event
    if case.get("gone"):
        with pytest.raises(NotFound):
            await auth.tokens.get(SECRET, with_secrets=True)
        assert (await auth.tokens.list_page(after="", limit=10, with_secrets=True))[0] == []


@cases("bots")
async def test_a_bot(case: dict[str, Any]) -> None:
    auth = await InProcessAuth.start()
    await store_token(auth, case.get("token"))
    fields: dict[str, Any] = {}
    if "expires" in case:
        fields["expires"] = auth.clock.now() + timedelta(minutes=case["expires"])
    if "error" in case:
        with pytest.raises(TeleportError) as caught:
            await auth.join(role="Bot", **fields)
        event = await auth.last_event()
        assert (caught.value.code, event["reason"]) == (case["error"], case["reason"])
        assert (event["event"], event["code"]) == ("bot.join", "TJ001E")
        return
    answer = await auth.join(role="Bot", **fields)
    leaf = parse_leaf(to_der(answer.certificates.tls_certificate))
    assert leaf.name == "robot"
    assert leaf.not_after - auth.clock.now() == timedelta(minutes=case["ttl"])
    event = await auth.last_event()
    assert (event["event"], event["code"]) == ("bot.join", "TJ001I")
    with pytest.raises(NotFound):
        await auth.tokens.get(SECRET, with_secrets=True)


async def test_static_011_a_static_token_cannot_be_deleted_and_its_name_is_masked() -> None:
    auth = await InProcessAuth.start()
    await auth.stores.static_tokens.replace([((SystemRole.NODE,), SECRET)])
    with pytest.raises(BadParameter, match="is static") as caught:
        await auth.tokens.delete(SECRET, "", ADMIN)
    assert SECRET not in caught.value.message
    assert (await auth.join()).host_id


async def test_static_013_the_auth_server_that_started_last_decides_for_both() -> None:
    auth = await InProcessAuth.start()
    first = auth.stores.static_tokens
    await first.replace([((SystemRole.NODE,), "of-the-first-server")])
    second = StaticTokenStore(backend=auth.backend, sealer=auth.sealer)
    await second.replace([((SystemRole.APP,), "of-the-second-server")])
    await first.reload()
    assert [token.name for token in first.list_all()] == ["of-the-second-server"]


async def test_gen_001_a_generated_secret_is_32_hexadecimal_characters_and_lives_half_an_hour() -> None:
    auth = await InProcessAuth.start()
    name = generate_token_name()
    assert len(name) == 32
    assert set(name) <= set("0123456789abcdef")
    created = await auth.add_token(name)
    assert created.metadata.expires == auth.clock.now() + timedelta(minutes=30)


async def test_gen_003_a_name_is_taken_once() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    with pytest.raises(AlreadyExists):
        await auth.add_token()


def test_gen_005_nobody_has_an_empty_name() -> None:
    with pytest.raises(BadParameter, match="name is missing"):
        check_token(Token(metadata=Metadata(name="")))


async def test_gen_007_a_trusted_clusters_token_leaves_an_event_of_its_own() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(SECRET, SystemRole.NODE, SystemRole.TRUSTED_CLUSTER, SystemRole.AUTH)
    assert (await auth.last_event())["event"] == "trusted_cluster_token.create"


async def test_store_001_with_an_identity_the_state_is_all_that_is_needed(tmp_path: Path) -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    keys = generate_keys()
    joined = build_joined(keys, await auth.join(keys=keys))
    await FileState(tmp_path).store(AgentState(joined=joined))
    assert (await FileState(tmp_path).load()).joined == joined


def test_trust_001_without_a_pin_nothing_is_sent(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match="the token is not sent"):
        choose_trust(Settings(nodename="node", data_dir=tmp_path), AUTH)
    told = Settings(nodename="node", data_dir=tmp_path, insecure_skip_ca_pin=True)
    assert isinstance(choose_trust(told, AUTH), PinnedConnection)


def test_differences_name_cases_that_are_tested() -> None:
    ids = {case["id"] for section in CASES.values() for case in section}
    tested = {name.replace("_", "-") for name in globals() if name.startswith("test_")}
    for case_id in DIFFERENCES:
        assert case_id in ids or any(f"test-{case_id}-" in name for name in tested)
