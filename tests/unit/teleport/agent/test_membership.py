import asyncio
from collections.abc import Sequence

import pytest

from support.auth import SECRET, InProcessAuth, build_host
from support.auth_client import InProcessClient, InProcessJoiner, RememberedState
from support.virtual_time import run_in_virtual_time
from teleport.agent.membership import Membership
from teleport.api.joined import Joined, build_joined, generate_keys
from teleport.auth.access import Caller
from teleport.errors import AccessDenied, ConnectionFailed, JoinRefused, StorageError, Unavailable
from teleport.resources.role import SystemRole

NODE, APP, DB = SystemRole.NODE, SystemRole.APP, SystemRole.DB


class Member:
    """A process that has joined with a token for Node, and what it remembers."""

    def __init__(
        self, auth: InProcessAuth, membership: Membership, states: RememberedState, granted: Sequence[SystemRole]
    ) -> None:
        self.auth = auth
        self._granted = granted
        self.membership = membership
        self.states = states
        self.client = InProcessClient(auth, build_host(NODE))
        self.joiner = InProcessJoiner(auth, SECRET, self._rejoin)

    def _rejoin(self) -> Caller:
        """Show the host's certificate; what the token grants is covered from then on."""
        self.client.caller = build_host(NODE, *self._granted)
        return build_host(NODE)


async def join(*granted: SystemRole, is_new: bool = False) -> Member:
    """Return a process that has joined for Node, and holds a token that grants something."""
    auth = await InProcessAuth.start()
    await auth.add_token("the-first-token", NODE)
    await auth.add_token(SECRET, *granted)
    keys = generate_keys()
    joined = build_joined(keys, await auth.join("the-first-token", keys=keys))
    states = RememberedState()
    membership = Membership(joined, states=states, hostname="node", is_new=is_new)
    return Member(auth, membership, states, granted)


async def stored(member: Member) -> Joined:
    """Return what is stored once all is."""
    done = asyncio.Event()
    task = asyncio.create_task(member.membership.keep_stored(lambda _: done.set()))
    await done.wait()
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert member.states.state.joined is not None
    return member.states.state.joined


async def test_a_service_that_the_identity_covers_is_certified_and_remembered() -> None:
    member = await join()
    await member.membership.certify(member.client, NODE, None)
    joined = await stored(member)
    assert set(joined.certificates) == {SystemRole.INSTANCE, NODE}
    assert joined.keys[NODE] != joined.keys[SystemRole.INSTANCE]


async def test_a_certificate_that_is_there_is_not_asked_for_again() -> None:
    member = await join()
    for _ in range(2):
        await member.membership.certify(member.client, NODE, None)
    assert member.client.names() == ["host_certificates"]


async def test_a_service_that_is_not_covered_gets_its_role_by_the_token() -> None:
    member = await join(APP)
    await member.membership.certify(member.client, APP, member.joiner)
    joined = await stored(member)
    assert APP in joined.certificates
    assert member.joiner.keys == [joined.keys[SystemRole.INSTANCE]]


async def test_without_a_token_it_is_refused() -> None:
    member = await join(APP)
    with pytest.raises(AccessDenied, match="does not cover role App; let its token be for that role too"):
        await member.membership.certify(member.client, APP, None)


async def test_a_token_that_does_not_help_is_not_used_again_and_again() -> None:
    member = await join(APP)
    for _ in range(3):
        with pytest.raises(AccessDenied):
            await member.membership.certify(member.client, DB, member.joiner)
    assert len(member.joiner.keys) == 1


async def test_a_token_that_is_refused_is_not_tried_again_and_does_not_hide_what_is_lacking() -> None:
    member = await join()
    member.joiner.fail_next(JoinRefused("token_expired", "ask for another token"))
    with pytest.raises(AccessDenied, match=r"does not cover role Db, and the token does not help: .*ask for another"):
        await member.membership.certify(member.client, DB, member.joiner)
    with pytest.raises(AccessDenied, match="does not cover role Db"):
        await member.membership.certify(member.client, DB, member.joiner)
    assert len(member.joiner.keys) == 1


async def test_a_token_that_has_just_been_used_is_not_used_again() -> None:
    member = await join(APP, is_new=True)
    with pytest.raises(AccessDenied, match="does not cover role App"):
        await member.membership.certify(member.client, APP, member.joiner)
    assert member.joiner.keys == []


def test_what_cannot_be_stored_is_held_and_stored_as_soon_as_it_can_be() -> None:
    async def work() -> tuple[Member, list[str | None]]:
        member = await join(is_new=True)
        reports: list[str | None] = []
        task = asyncio.create_task(member.membership.keep_stored(reports.append))
        member.states.fail_next(Unavailable("the API server is away"), StorageError("the disk is full"))
        await asyncio.sleep(0.1)
        await member.membership.certify(member.client, NODE, None)
        await asyncio.sleep(10)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return member, reports

    member, reports = run_in_virtual_time(work())
    assert reports == ["the API server is away", "the disk is full", None]
    assert [state.joined is not None and NODE in state.joined.certificates for state in member.states.history] == [True]


def test_what_is_stored_is_not_stored_again() -> None:
    async def work() -> Member:
        member = await join()
        task = asyncio.create_task(member.membership.keep_stored(lambda _: None))
        await asyncio.sleep(1000)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        return member

    assert run_in_virtual_time(work()).states.history == []


async def test_a_connection_that_fails_meanwhile_costs_nothing() -> None:
    member = await join(APP)
    member.joiner.fail_next(ConnectionFailed("gone"))
    with pytest.raises(ConnectionFailed):
        await member.membership.certify(member.client, APP, member.joiner)
    await member.membership.certify(member.client, APP, member.joiner)
    assert len(member.joiner.keys) == 2


async def test_changed_trust_is_taken_over_and_shown_to_new_connections() -> None:
    member = await join()
    before = member.membership.trust.request_options()["ssl"]
    await member.membership.follow_trust(member.client)
    assert member.membership.trust.request_options()["ssl"] is before
    assert member.states.history == []
    other = await InProcessAuth.start()
    member.auth.authority.replace(await other.stores.authorities.load())
    await member.membership.follow_trust(member.client)
    joined = await stored(member)
    assert joined.trust == member.auth.authority.trust_bundle
    assert member.membership.trust.request_options()["ssl"] is not before
