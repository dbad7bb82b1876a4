from datetime import timedelta

import pytest

from support.auth import ADMIN, SECRET, InProcessAuth, build_host, build_token, build_user
from teleport.api.messages import HeartbeatRequest
from teleport.auth.resources import AuthorityResources, PresenceResources
from teleport.errors import AlreadyExists, BadParameter, CompareFailed, NotFound, NotSupported, StorageError
from teleport.resources.authority import AuthorityType, CertAuthority
from teleport.resources.model import Metadata
from teleport.resources.presence import Server, ServerSpec
from teleport.resources.role import SystemRole
from teleport.resources.token import Token

NODE = SystemRole.NODE
MASKED = "*" * 24 + SECRET[24:]


async def test_names_are_masked_unless_secrets_are_asked_for() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    assert (await auth.tokens.get(SECRET, with_secrets=False)).name == MASKED
    assert (await auth.tokens.get(SECRET, with_secrets=True)).name == SECRET
    for with_secrets, name in ((False, MASKED), (True, SECRET)):
        (token,), _ = await auth.tokens.list_page(after="", limit=10, with_secrets=with_secrets)
        assert token.name == name


async def test_static_tokens_stand_on_the_first_page_masked_as_well() -> None:
    auth = await InProcessAuth.start()
    await auth.stores.static_tokens.replace([((NODE,), SECRET)])
    for number in range(3):
        await auth.add_token(f"a-stored-token-{number}")
    first, mark = await auth.tokens.list_page(after="", limit=2, with_secrets=False)
    second, _ = await auth.tokens.list_page(after=mark, limit=2, with_secrets=False)
    assert [token.name for token in first].count(MASKED) == 1
    assert (len(first), len(second)) == (3, 1)
    assert (await auth.tokens.get(SECRET, with_secrets=True)).metadata.expires is None


async def test_a_secret_without_a_life_gets_half_an_hour_and_a_chosen_life_stays() -> None:
    auth = await InProcessAuth.start()
    now = auth.clock.now()
    assert (await auth.add_token("without-a-life")).metadata.expires == now + timedelta(minutes=30)
    chosen = now + timedelta(days=300)
    assert (await auth.add_token("with-a-life", expires=chosen)).metadata.expires == chosen


@pytest.mark.parametrize(("name", "passes"), [("1234567", False), ("12345678", True), ("x" * 1024, True)])
async def test_a_secret_has_eight_characters_or_more(name: str, *, passes: bool) -> None:
    auth = await InProcessAuth.start()
    if passes:
        assert (await auth.add_token(name)).name == name
        return
    with pytest.raises(BadParameter, match="at least 8 characters"):
        await auth.add_token(name)


@pytest.mark.parametrize("name", ["", "x" * 1025, "a-token\nwith-a-line", "a-token\0with-nul"])
async def test_hostile_31_names_that_are_none_are_refused(name: str) -> None:
    auth = await InProcessAuth.start()
    with pytest.raises(BadParameter):
        await auth.add_token(name)


@pytest.mark.parametrize("name", ["--leading-dash", "%0d%0a-encoded", "quo\"te's-in-it", "../../etc/passwd"])
async def test_hostile_31_odd_names_are_names(name: str) -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(name)
    assert (await auth.join(name)).host_id


async def test_a_bots_name_must_fit_a_certificate() -> None:
    auth = await InProcessAuth.start()
    with pytest.raises(BadParameter, match="the bot's user name"):
        await auth.add_token(SECRET, SystemRole.BOT, bot_name="a\nb")


@pytest.mark.parametrize("method", ["ec2", "iam", "github", "tpm"])
async def test_a_method_that_is_not_implemented_is_refused_by_name(method: str) -> None:
    auth = await InProcessAuth.start()
    with pytest.raises(NotSupported, match=f"join method '{method}' is not supported"):
        await auth.add_token("delegated-token", method=method)


async def test_changes_leave_events_with_masked_names() -> None:
    auth = await InProcessAuth.start()
    created = await auth.add_token()
    await auth.tokens.update(created, ADMIN)
    await auth.tokens.upsert(build_token(), build_user("editor"))
    await auth.tokens.delete(SECRET, "", ADMIN)
    events = await auth.list_events()
    assert [(event["event"], event["code"]) for event in events] == [
        ("join_token.create", "TJT00I"),
        ("join_token.update", "TJT01I"),
        ("join_token.update", "TJT01I"),
        ("join_token.delete", "TJT02I"),
    ]
    assert {event["token_name"] for event in events} == {MASKED}
    assert [event["user_kind"] for event in events] == ["admin", "admin", "user", "admin"]
    assert (events[0]["roles"], events[0]["method"], events[0]["token_expires"]) == (
        ["Node"],
        "token",
        "2026-01-01T00:30:00Z",
    )


async def test_a_change_that_fails_leaves_no_event() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    with pytest.raises(AlreadyExists):
        await auth.add_token()
    with pytest.raises(CompareFailed):
        await auth.tokens.update(build_token().with_metadata(revision="1"), ADMIN)
    with pytest.raises(NotFound):
        await auth.tokens.delete("another-token", "", ADMIN)
    auth.backend.fail_next(StorageError("the disk is full"))
    with pytest.raises(StorageError):
        await auth.tokens.upsert(build_token(), ADMIN)
    assert len(await auth.list_events()) == 1


async def test_deleting_shows_the_name_as_lists_do() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    assert await auth.tokens.delete(SECRET, "", ADMIN) == MASKED


async def test_what_is_no_token_is_not_stored_as_one() -> None:
    auth = await InProcessAuth.start()
    with pytest.raises(BadParameter, match="this is a node and no token"):
        await auth.tokens.create(Server(kind="node", metadata=Metadata(), spec=ServerSpec()), ADMIN)


async def test_presence_is_read_and_deleted_and_written_by_heartbeats_alone() -> None:
    auth = await InProcessAuth.start()
    nodes = PresenceResources(presence=auth.stores.presence, kind="node")
    host = build_host(NODE)
    servers = ({"kind": "node", "metadata": {}, "spec": {}},)
    await auth.heartbeats.announce(HeartbeatRequest(hostname="node", version="1", servers=servers), host)
    (record,), mark = await nodes.list_page(after="", limit=10, with_secrets=False)
    assert (await nodes.get(record.name, with_secrets=False), mark) == (record, "")
    with pytest.raises(NotSupported, match="cannot be created"):
        await nodes.create(record, ADMIN)
    assert await nodes.delete(record.name, "", ADMIN) == record.name
    with pytest.raises(NotFound):
        await nodes.get(record.name, with_secrets=False)


async def test_authorities_are_shown_without_their_private_keys_and_changed_by_nobody() -> None:
    auth = await InProcessAuth.start()
    authorities = AuthorityResources(authorities=auth.stores.authorities)
    every, _ = await authorities.list_page(after="", limit=10, with_secrets=True)
    assert [authority.sub_kind for authority in every] == [kind.value for kind in AuthorityType]
    host = await authorities.get("host/example.com", with_secrets=True)
    for shown in (*every, host):
        assert "PRIVATE" not in shown.model_dump_json()
    assert isinstance(host, CertAuthority)
    with pytest.raises(NotSupported):
        await authorities.upsert(host, ADMIN)
    with pytest.raises(NotSupported):
        await authorities.delete("host", "", ADMIN)
    with pytest.raises(NotFound, match="no authority of type 'spiffe'"):
        await authorities.get("spiffe", with_secrets=False)


async def test_a_tokens_repr_hides_its_name() -> None:
    auth = await InProcessAuth.start()
    token = await auth.tokens.get((await auth.add_token()).name, with_secrets=True)
    assert isinstance(token, Token)
    assert SECRET not in repr(token)
