from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from support.auth import SECRET, InProcessAuth
from support.auth_client import InProcessClient
from support.clock import FakeClock
from teleport.api.identity import render_identity_file
from teleport.api.trust import KnownAuthority, PinnedConnection, ServerTrust
from teleport.errors import BadParameter, ConnectionFailed, JoinRefused, TrustError
from teleport.join.method import JoinMethod
from teleport.join.secret_token import SecretTokenJudge
from teleport.resources.address import Address
from teleport.resources.role import SystemRole
from teleport_operator import identity as module
from teleport_operator.identity import BotJoin, FileIdentity

ADDRESS = Address("auth", 3025)
PIN = "sha256:" + "0" * 64


class Story:
    """A bot that joins an auth server without a network, and by what it knew the server at each attempt."""

    def __init__(self, auth: InProcessAuth, monkeypatch: pytest.MonkeyPatch) -> None:
        self.auth = auth
        self.client = InProcessClient(auth)
        self.trusted: list[ServerTrust] = []
        self.proofs = 0
        monkeypatch.setattr(module, "open_client", self._open)
        monkeypatch.setattr(PinnedConnection, "verify", self._verify)
        self.verified = 0
        self.is_right = True

    @asynccontextmanager
    async def _open(self, address: Address, trust: ServerTrust) -> AsyncIterator[InProcessClient]:
        assert address == ADDRESS
        self.trusted.append(trust)
        yield self.client

    def _verify(self, *_: object, **__: object) -> None:
        self.verified += 1
        if not self.is_right:
            raise TrustError("the pin does not match")

    def _prove(self) -> str:
        self.proofs += 1
        return ""

    def make(self, token: str = SECRET, *, ca_pems: tuple[str, ...] = ()) -> BotJoin:
        method = JoinMethod(build_judge=SecretTokenJudge, prove=self._prove, explain=lambda name: f"look at {name}")
        return BotJoin(
            address=ADDRESS,
            token_name=token,
            method_name="token",
            method=method,
            pins=() if ca_pems else (PIN,),
            ca_pems=ca_pems,
            clock=FakeClock(),
        )


@pytest.fixture
async def story(monkeypatch: pytest.MonkeyPatch) -> Story:
    auth = await InProcessAuth.start()
    for name in (SECRET, SECRET[::-1]):
        await auth.add_token(name, SystemRole.BOT, bot_name="operator")
    return Story(auth, monkeypatch)


async def test_at_the_first_contact_the_server_is_held_against_the_pins_before_anything_is_proved(
    story: Story,
) -> None:
    story.is_right = False
    with pytest.raises(TrustError):
        await story.make().get()
    assert (story.verified, story.proofs, story.client.names()) == (1, 0, ["trust"])


async def test_it_joins_as_a_bot_and_keeps_the_authorities_that_the_cluster_names(story: Story) -> None:
    found = await story.make().get()
    assert found.host_ca_certificates == tuple(story.auth.authority.host_ca_certificates)
    (request,) = (asked for name, asked in story.client.asked if name == "join")
    assert (request.role, request.token_name) == (SystemRole.BOT, SECRET)


async def test_where_certificates_are_given_they_are_what_the_server_is_known_by(story: Story) -> None:
    await story.make(ca_pems=tuple(story.auth.authority.host_ca_certificates)).get()
    (trust,) = story.trusted
    assert isinstance(trust, KnownAuthority)
    assert story.verified == 0


async def test_the_next_time_the_server_is_known_by_what_the_cluster_said_and_each_time_with_new_keys(
    story: Story,
) -> None:
    join = story.make()
    first = await join.get()
    join._token_name = SECRET[::-1]
    second = await join.get()
    assert [type(trust) for trust in story.trusted] == [PinnedConnection, KnownAuthority]
    assert first.tls_key != second.tls_key
    assert story.proofs == 2


async def test_a_server_that_is_another_one_is_held_against_the_pins_again(story: Story) -> None:
    join = story.make()
    await join.get()
    join._token_name = SECRET[::-1]
    story.client.fail_next(TrustError("it comes from another cluster"))
    await join.get()
    assert [type(trust) for trust in story.trusted] == [PinnedConnection, KnownAuthority, PinnedConnection]


async def test_a_server_that_is_away_is_no_reason_to_look_at_the_pins_again(story: Story) -> None:
    join = story.make()
    await join.get()
    story.client.fail_next(ConnectionFailed("it is away"))
    with pytest.raises(ConnectionFailed):
        await join.get()
    assert [type(trust) for trust in story.trusted] == [PinnedConnection, KnownAuthority]


async def test_a_refusal_says_what_to_do_and_not_the_token(story: Story) -> None:
    with pytest.raises(JoinRefused) as caught:
        await story.make("another-token-that-is-a-secret").get()
    assert "look at" in caught.value.message
    assert "another-token" not in caught.value.message


async def test_an_identity_file_is_read_anew_each_time(story: Story, tmp_path: Path) -> None:
    path = tmp_path / "operator.identity"
    source = FileIdentity(path)
    path.write_text("nothing of use")
    with pytest.raises(BadParameter, match=str(path)):
        await source.get()
    found = await story.make().get()
    path.write_text(render_identity_file(found))
    assert (await source.get()).tls_certificate == found.tls_certificate
