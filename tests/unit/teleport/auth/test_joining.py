import asyncio
import logging
from dataclasses import replace
from datetime import timedelta

import pytest

from support.auth import (
    ADMIN,
    ANONYMOUS,
    HOST_ID,
    SECRET,
    InProcessAuth,
    build_host,
    build_token,
    list_reasons,
    to_der,
)
from support.interrupted_backend import InterruptedBackend
from support.strangers import build_request
from teleport.api.joined import Keys, generate_keys
from teleport.api.messages import JoinResponse, PublicKeys
from teleport.auth import joining as module
from teleport.auth.join_request import parse_keys
from teleport.auth.joining import MAX_ATTEMPTS
from teleport.backend.protocol import Put
from teleport.errors import BadParameter, JoinRefused, NotFound, StorageError, Unavailable
from teleport.pki.leaf import parse_leaf
from teleport.resources.role import SystemRole
from teleport.resources.token import Token

NODE, APP, BOT = SystemRole.NODE, SystemRole.APP, SystemRole.BOT
MINUTE = timedelta(minutes=1)
TICK = timedelta(microseconds=1)


async def test_a_service_joins_and_is_told_who_it_is_and_whom_to_trust() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(SECRET, NODE, APP)
    answer = await auth.join()
    leaf = parse_leaf(to_der(answer.certificates.tls_certificate))
    assert (leaf.name, leaf.roles, leaf.system_roles) == (answer.host_id, ("Instance",), (APP, NODE))
    assert answer.certificates.ssh_certificate.startswith("ssh-ed25519-cert-v01@openssh.com ")
    assert answer.trust == auth.authority.trust_bundle


async def test_a_join_is_one_commit_of_use_ledger_and_audit() -> None:
    backend = InterruptedBackend()
    auth = await InProcessAuth.start(backend=backend)
    await auth.add_token(limits={"max_uses": 5})
    backend.commits.clear()
    await auth.join()
    ((conditions, writes),) = backend.commits
    lookup_id = auth.stores.tokens.lookup_id(SECRET)
    assert {condition.key for condition in conditions} == {f"tokens/{lookup_id}", f"token_usage/{lookup_id}"}
    assert sorted(write.key.split("/")[0] for write in writes) == ["audit", "token_usage", "token_uses"]


async def test_the_event_of_a_join_says_who_came_with_what() -> None:
    auth = await InProcessAuth.start()
    token = await auth.add_token()
    keys = generate_keys()
    answer = await auth.join(keys=keys)
    event = await auth.last_event()
    assert token.metadata.expires is not None
    assert event == {
        "event": "instance.join",
        "code": "TJ002I",
        "time": "2026-01-01T00:00:00Z",
        "uid": event["uid"],
        "success": True,
        "role": "Instance",
        "node_name": "stranger",
        "remote_addr": ANONYMOUS.remote_addr,
        "token_name": "*" * 24 + SECRET[24:],
        "method": "token",
        "key_fingerprint": parse_keys(keys.build_public_keys("x"), frozenset()).csr.fingerprint,
        "host_id": answer.host_id,
        "token_expires": "2026-01-01T00:30:00Z",
        "certificate_serial": event["certificate_serial"],
    }


async def test_the_ledger_tells_every_use_newest_first() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    answer = await auth.join()
    auth.clock.advance(MINUTE)
    with pytest.raises(JoinRefused):
        await auth.join(role="App")
    refused, admitted = await auth.list_uses()
    assert (admitted.outcome, admitted.host_id, admitted.role) == ("success", answer.host_id, "Instance")
    assert (refused.outcome, refused.host_id, refused.role) == ("role_not_granted", "", "App")
    assert refused.time - admitted.time == MINUTE


@pytest.mark.parametrize("deleted", [True, False])
async def test_hostile_34_a_token_that_goes_between_judgement_and_commit_admits_nobody(*, deleted: bool) -> None:
    backend = InterruptedBackend()
    auth = await InProcessAuth.start(backend=backend)
    await auth.add_token()
    if deleted:
        await auth.tokens.delete(SECRET, "", ADMIN)
        gone = backend.commits[-1][1]
        await auth.add_token()
        backend.write_before_next_commit(*[write for write in gone if not isinstance(write, Put)])
    else:
        change = await InProcessAuth.start()
        await change.add_token(SECRET, APP)
        (item,) = await change.backend.range("tokens/")
        backend.write_before_next_commit(Put(item.key, item.value, item.expires))
    with pytest.raises(JoinRefused):
        await auth.join(role="Node")
    event = await auth.last_event()
    assert event["reason"] == ("token_not_found" if deleted else "role_not_granted")
    assert [use.outcome for use in await auth.list_uses()] == ([] if deleted else ["role_not_granted"])


async def test_hostile_35_of_joins_during_a_deletion_none_succeeds_after_it() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    ended: list[str] = []

    async def join() -> None:
        try:
            await auth.join()
            ended.append("admitted")
        except JoinRefused:
            ended.append("refused")

    async def delete() -> None:
        await auth.tokens.delete(SECRET, "", ADMIN)
        ended.append("deleted")

    await asyncio.gather(*(join() for _ in range(50)), delete(), *(join() for _ in range(50)))
    assert "admitted" not in ended[ended.index("deleted") :]
    assert len(ended) == 101


async def test_a_token_that_never_stands_still_is_given_up() -> None:
    backend = InterruptedBackend()
    auth = await InProcessAuth.start(backend=backend)
    await auth.add_token()
    (item,) = await backend.range("tokens/")
    for _ in range(MAX_ATTEMPTS):
        backend.write_before_next_commit(Put(item.key, item.value, item.expires))
    with pytest.raises(Unavailable, match="keeps changing"):
        await auth.join()
    assert await auth.list_uses() == []


async def test_a_token_that_changes_once_is_judged_again() -> None:
    backend = InterruptedBackend()
    auth = await InProcessAuth.start(backend=backend)
    await auth.add_token()
    (item,) = await backend.range("tokens/")
    backend.write_before_next_commit(Put(item.key, item.value, item.expires))
    assert (await auth.join()).host_id
    assert [use.outcome for use in await auth.list_uses()] == ["success"]


async def test_hostile_29_missing_expired_and_wrong_role_are_one_answer_after_the_same_work() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token("missing-was-here-once")
    await auth.tokens.delete("missing-was-here-once", "", ADMIN)
    await auth.add_token("expired-by-a-tick-now", expires=auth.clock.now() - TICK)
    await auth.add_token("grants-another-role")
    answers, work = set(), []
    for name in ("missing-was-here-once", "expired-by-a-tick-now", "grants-another-role"):
        auth.backend.calls.clear()
        with pytest.raises(JoinRefused) as caught:
            await auth.join(name, role="App")
        answers.add((caught.value.code, caught.value.message))
        work.append(dict(auth.backend.calls))
    assert answers == {("join_refused", JoinRefused.PUBLIC)}
    assert work == [{"get": 1, "commit": 1}] * 3
    events = await auth.list_events("instance.join")
    assert list_reasons(events) == ["token_not_found", "token_expired", "role_not_granted"]


async def test_hostile_28_a_token_that_expired_by_a_millisecond_stays_expired() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(expires=auth.clock.now() + MINUTE)
    auth.clock.advance(MINUTE)
    await auth.join()
    auth.clock.advance(timedelta(milliseconds=1))
    with pytest.raises(JoinRefused):
        await auth.join()
    assert (await auth.last_event())["reason"] == "token_expired"


async def test_a_static_token_needs_no_record_and_shadows_one() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(SECRET, APP)
    await auth.stores.static_tokens.replace([((NODE,), SECRET)])
    auth.clock.advance(timedelta(days=3650))
    assert (await auth.join(role="Node")).host_id
    with pytest.raises(JoinRefused):
        await auth.join(role="App")


async def test_uses_are_counted_up_to_the_limit_and_not_once_more() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(limits={"max_uses": 3})
    for _ in range(3):
        await auth.join()
    with pytest.raises(JoinRefused):
        await auth.join()
    assert (await auth.last_event())["reason"] == "max_uses_reached"


async def test_uses_that_come_at_once_are_counted_as_well() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(limits={"max_uses": 3})
    outcomes = await asyncio.gather(*(auth.join() for _ in range(12)), return_exceptions=True)
    assert sum(isinstance(outcome, JoinResponse) for outcome in outcomes) == 3
    assert sum(isinstance(outcome, JoinRefused) for outcome in outcomes) == 9


async def test_a_key_that_asks_again_within_two_minutes_counts_once_and_keeps_its_host_id() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(limits={"max_uses": 2})
    keys = generate_keys()
    first = await auth.join(keys=keys)
    auth.clock.advance(2 * MINUTE)
    assert (await auth.join(keys=keys)).host_id == first.host_id
    auth.clock.advance(timedelta(seconds=1))
    assert (await auth.join(keys=keys)).host_id != first.host_id
    with pytest.raises(JoinRefused):
        await auth.join()


async def test_joins_of_an_hour_are_counted_and_forgotten_after_it() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(limits={"max_joins_per_hour": 2}, expires=auth.clock.now() + timedelta(days=1))
    await auth.join()
    auth.clock.advance(timedelta(minutes=30))
    await auth.join()
    with pytest.raises(JoinRefused):
        await auth.join()
    assert (await auth.last_event())["reason"] == "max_joins_per_hour_reached"
    auth.clock.advance(timedelta(minutes=30))
    await auth.join()
    with pytest.raises(JoinRefused):
        await auth.join()


async def test_a_refused_attempt_is_no_use() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(limits={"max_uses": 1})
    for _ in range(3):
        with pytest.raises(JoinRefused):
            await auth.join(role="App")
    assert (await auth.join()).host_id


async def test_what_was_counted_survives_a_change_of_the_token() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(limits={"max_uses": 1})
    await auth.join()
    longer = build_token(limits={"max_uses": 1}, expires=auth.clock.now() + timedelta(days=30))
    await auth.tokens.upsert(longer, ADMIN)
    auth.clock.advance(timedelta(days=20))
    with pytest.raises(JoinRefused):
        await auth.join()
    assert (await auth.last_event())["reason"] == "max_uses_reached"


@pytest.mark.parametrize("verb", ["create", "upsert"])
async def test_a_token_that_is_made_anew_begins_to_count_anew(verb: str) -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(limits={"max_uses": 1})
    await auth.join()
    auth.clock.advance(timedelta(hours=1))
    await getattr(auth.tokens, verb)(build_token(limits={"max_uses": 1}), ADMIN)
    assert (await auth.join()).host_id


async def test_the_end_of_the_calendar_is_no_trouble() -> None:
    auth = await InProcessAuth.start()
    token = Token.model_validate(
        {
            "metadata": {"name": SECRET, "expires": "9999-12-31T23:59:59Z"},
            "spec": {"roles": ["Node"], "limits": {"max_uses": 1}},
        }
    )
    await auth.tokens.create(token, ADMIN)
    assert (await auth.join()).host_id


async def test_an_address_outside_the_tokens_networks_denies() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(limits={"allow_cidrs": ["10.0.0.0/8"]})
    with pytest.raises(JoinRefused):
        await auth.join()
    assert (await auth.last_event())["reason"] == "address_not_allowed"
    assert (await auth.join(caller=replace(ANONYMOUS, remote_addr="10.255.0.1"))).host_id


async def test_a_token_whose_time_has_not_come_denies() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(limits={"not_before": auth.clock.now() + MINUTE})
    with pytest.raises(JoinRefused):
        await auth.join()
    assert (await auth.last_event())["reason"] == "token_not_yet_valid"
    auth.clock.advance(MINUTE)
    assert (await auth.join()).host_id


async def test_locks_that_nobody_holds_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_TURNS", 3)
    auth = await InProcessAuth.start()
    for number in range(10):
        await auth.add_token(f"a-limited-token-{number}", limits={"max_uses": 1})
        await auth.join(f"a-limited-token-{number}")
    assert len(auth.joining._turns) <= 4


async def test_a_stored_token_of_a_method_that_is_gone_denies() -> None:
    auth = await InProcessAuth.start()
    await auth.stores.tokens.create(build_token("delegated-token", NODE, method="carrier-pigeon"))
    with pytest.raises(JoinRefused):
        await auth.join("delegated-token")
    assert (await auth.last_event())["reason"] == "method_not_supported"


async def test_a_known_host_keeps_its_id_and_adds_roles() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(SECRET, NODE)
    answer = await auth.join(caller=build_host(APP))
    leaf = parse_leaf(to_der(answer.certificates.tls_certificate))
    assert (answer.host_id, leaf.name, leaf.system_roles) == (HOST_ID, HOST_ID, (APP, NODE))


async def test_an_administrator_is_no_host_and_gets_an_id_like_everybody() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    assert (await auth.join(caller=ADMIN)).host_id != ADMIN.name


async def test_two_joins_are_two_hosts() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    assert (await auth.join()).host_id != (await auth.join()).host_id


async def add_bot_token(auth: InProcessAuth) -> None:
    await auth.add_token(SECRET, BOT, bot_name="robot")


async def test_hostile_26_of_64_bots_at_once_exactly_one_joins() -> None:
    auth = await InProcessAuth.start()
    await add_bot_token(auth)
    outcomes = await asyncio.gather(*(auth.join(role="Bot") for _ in range(64)), return_exceptions=True)
    assert sum(isinstance(outcome, JoinResponse) for outcome in outcomes) == 1
    assert sum(isinstance(outcome, JoinRefused) for outcome in outcomes) == 63
    reasons = list_reasons(await auth.list_events("bot.join"))
    assert sorted(reasons) == ["success", *["token_spent"] * 63]


async def test_hostile_27_the_key_that_lost_its_answer_gets_the_same_one_again() -> None:
    auth = await InProcessAuth.start()
    await add_bot_token(auth)
    keys = generate_keys()
    first = await auth.join(keys=keys, role="Bot")
    auth.clock.advance(2 * MINUTE)
    assert await auth.join(keys=keys, role="Bot") == first
    assert [use.outcome for use in await auth.list_uses()] == ["success"]


async def test_hostile_27_another_key_is_refused_at_once() -> None:
    auth = await InProcessAuth.start()
    await add_bot_token(auth)
    await auth.join(role="Bot")
    with pytest.raises(JoinRefused) as caught:
        await auth.join(role="Bot")
    assert (caught.value.reason, caught.value.message) == ("token_spent", JoinRefused.PUBLIC)


async def test_hostile_27_after_two_minutes_the_same_key_is_refused_too() -> None:
    auth = await InProcessAuth.start()
    await add_bot_token(auth)
    keys = generate_keys()
    await auth.join(keys=keys, role="Bot")
    auth.clock.advance(2 * MINUTE + TICK)
    with pytest.raises(JoinRefused) as caught:
        await auth.join(keys=keys, role="Bot")
    assert caught.value.reason == "token_not_found"


async def test_a_lost_answer_is_given_again_even_if_the_token_would_have_expired_meanwhile() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(SECRET, BOT, bot_name="robot", expires=auth.clock.now() + MINUTE)
    keys = generate_keys()
    first = await auth.join(keys=keys, role="Bot")
    auth.clock.advance(2 * MINUTE)
    assert await auth.join(keys=keys, role="Bot") == first


async def test_a_spent_token_is_seen_by_nobody_and_its_name_is_free() -> None:
    auth = await InProcessAuth.start()
    await add_bot_token(auth)
    await auth.join(role="Bot")
    with pytest.raises(NotFound):
        await auth.tokens.get(SECRET, with_secrets=True)
    with pytest.raises(NotFound):
        await auth.tokens.delete(SECRET, "", ADMIN)
    assert await auth.tokens.list_page(after="", limit=10, with_secrets=True) == ([], "")
    await add_bot_token(auth)
    assert (await auth.join(role="Bot")).host_id


async def test_a_bot_that_is_refused_does_not_spend_the_token() -> None:
    auth = await InProcessAuth.start()
    await add_bot_token(auth)
    with pytest.raises(BadParameter, match="in the future"):
        await auth.join(role="Bot", expires=auth.clock.now())
    assert (await auth.join(role="Bot", expires=auth.clock.now() + TICK + MINUTE)).host_id


@pytest.mark.parametrize("role", [" BOT ", "bot"])
async def test_a_bots_bad_request_is_a_bots_event(role: str) -> None:
    auth = await InProcessAuth.start()
    with pytest.raises(BadParameter):
        await auth.join("", role=role)
    event = await auth.last_event()
    assert (event["event"], event["code"], event["reason"]) == ("bot.join", "TJ001E", "bad_request")


async def test_hostile_38_the_clusters_own_keys_get_no_certificate() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    authorities = await auth.stores.authorities.load()
    for authority in authorities.values():
        keys = authority.spec.active_keys
        own = generate_keys()
        if keys.tls:
            own = Keys(tls_key=keys.tls[0].private_key, ssh_key=own.ssh_key)
        elif keys.ssh:
            own = Keys(tls_key=own.tls_key, ssh_key=keys.ssh[0].private_key)
        else:
            continue
        with pytest.raises(BadParameter, match="belongs to somebody else"):
            await auth.join(keys=own)


async def test_hostile_38_a_request_that_its_key_did_not_sign_is_refused_before_the_token_is_looked_up() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    mine, other = generate_keys().build_public_keys("a"), generate_keys().build_public_keys("b")
    broken = PublicKeys(csr=splice(mine.csr, other.csr), ssh_public_key=mine.ssh_public_key)
    request = build_request(generate_keys(), SECRET)
    auth.backend.calls.clear()
    with pytest.raises(BadParameter):
        await auth.ask_to_join(request.model_copy(update={"keys": broken}))
    assert auth.backend.calls["get"] == 0


async def test_hostile_36_names_of_others_are_refused_and_the_token_is_not_spent() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token(limits={"max_uses": 1})
    for names in (["kubernetes.default.svc"], ["*.example.org"], ["xn--bcher-kva.example"], ["a\0b"]):
        with pytest.raises(BadParameter):
            await auth.join(additional_principals=names)
    assert (await auth.last_event())["reason"] == "bad_request"
    assert (await auth.join(additional_principals=["node.example.org"])).host_id


async def test_a_store_that_fails_admits_nobody_and_spends_nothing() -> None:
    auth = await InProcessAuth.start()
    await add_bot_token(auth)
    auth.backend.fail_next(StorageError("the disk is full"))
    with pytest.raises(StorageError):
        await auth.join(role="Bot")
    assert (await auth.join(role="Bot")).host_id


async def test_a_commit_that_fails_admits_nobody() -> None:
    backend = InterruptedBackend()
    auth = await InProcessAuth.start(backend=backend)
    await auth.add_token()
    backend.fail_next_commit(StorageError("the disk is full"))
    with pytest.raises(StorageError):
        await auth.join()
    assert await auth.list_uses() == []
    assert await auth.list_events("instance.join") == []


async def test_no_secret_is_in_an_event_a_log_or_a_ledger(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    auth = await InProcessAuth.start()
    await auth.add_token()
    await auth.join(proof="a-proof-that-is-secret")
    for name, role in ((SECRET, "App"), ("an-unknown-guess", "Node"), ("", "Node")):
        with pytest.raises((JoinRefused, BadParameter)):
            await auth.join(name, role=role, proof="a-proof-that-is-secret")
    told = f"{await auth.list_events()} {await auth.list_uses()} {caplog.text}"
    for secret in (SECRET, "an-unknown-guess", "a-proof-that-is-secret", "PRIVATE KEY"):
        assert secret not in told


def splice(one: str, other: str) -> str:
    """Return a request with the signature of another."""
    lines, foreign = one.strip().splitlines(), other.strip().splitlines()
    return "\n".join([*lines[:-3], *foreign[-3:]]) + "\n"
