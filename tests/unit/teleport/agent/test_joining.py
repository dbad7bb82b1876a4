import ssl
from pathlib import Path

import pytest

from support.auth import SECRET, InProcessAuth
from support.auth_client import InProcessClient
from support.clock import FakeClock
from teleport.agent.joining import NetworkJoiner, choose_trust, explain_failure
from teleport.api.joined import generate_keys
from teleport.api.messages import JoinRequest
from teleport.api.trust import KnownAuthority, PinnedConnection, ServerTrust
from teleport.api.way import ThroughProxy
from teleport.config.settings import JoinParams, Settings
from teleport.errors import BadParameter, ConnectionFailed, JoinRefused, TrustError, VersionRefused
from teleport.join.method import JoinMethod
from teleport.join.secret_token import SecretTokenJudge
from teleport.resources.address import Address
from teleport.version import VERSION

PIN = "sha256:" + "0" * 64
AUTH = Address("auth.example.com", 3025)
PROXY = Address("proxy.example.com", 443)


def build_settings(
    data_dir: Path, *, pins: tuple[str, ...] = (), insecure: bool = False, skip: bool = False
) -> Settings:
    return Settings(
        nodename="node",
        data_dir=data_dir,
        ca_pins=pins,
        insecure_skip_ca_pin=insecure,
        skip_version_check=skip,
    )


class Joining:
    """A joiner that talks to an auth server without a network."""

    def __init__(self, auth: InProcessAuth, settings: Settings) -> None:
        self.client = InProcessClient(auth)
        self.proofs = 0
        method = JoinMethod(build_judge=SecretTokenJudge, prove=self._prove, explain=lambda name: f"look at {name}")
        params = JoinParams(method="token", token_name=SECRET)
        self._joiner = NetworkJoiner(settings=settings, way=AUTH, params=params, method=method, clock=FakeClock())

    def _prove(self) -> str:
        self.proofs += 1
        return f"proof {self.proofs}"

    async def join(self, trust: ServerTrust | None = None) -> str:
        trust = trust or KnownAuthority(ssl.create_default_context())
        return (await self._joiner._join(self.client, trust, generate_keys())).host_id

    def requests(self) -> list[JoinRequest]:
        return [request for name, request in self.client.asked if name == "join"]


async def add_ca_file(data_dir: Path) -> None:
    auth = await InProcessAuth.start()
    (data_dir / "ca.cert").write_text(auth.authority.host_ca_certificates[0])


async def test_trust_is_by_pin_before_anything_else(tmp_path: Path) -> None:
    await add_ca_file(tmp_path)
    trust = choose_trust(build_settings(tmp_path, pins=(PIN,), insecure=True), AUTH)
    assert isinstance(trust, PinnedConnection)
    assert trust._pins == (PIN,)


async def test_trust_is_waived_only_if_told_so(tmp_path: Path) -> None:
    await add_ca_file(tmp_path)
    trust = choose_trust(build_settings(tmp_path, insecure=True), AUTH)
    assert isinstance(trust, PinnedConnection)
    assert trust._pins == ()


async def test_trust_is_by_a_ca_file_where_there_is_one(tmp_path: Path) -> None:
    await add_ca_file(tmp_path)
    assert isinstance(choose_trust(build_settings(tmp_path), AUTH), KnownAuthority)


def test_without_any_of_them_the_token_stays_here(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match=r"teleport\.ca_pin"):
        choose_trust(build_settings(tmp_path), AUTH)


def test_a_proxy_that_is_verified_is_where_trust_begins_if_nothing_else_is_given(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    trust = choose_trust(build_settings(tmp_path), ThroughProxy(PROXY))
    assert isinstance(trust, PinnedConnection)
    assert trust._pins == ()
    assert caplog.text == ""


async def test_pins_and_a_ca_file_count_behind_a_proxy_too(tmp_path: Path) -> None:
    pinned = choose_trust(build_settings(tmp_path, pins=(PIN,)), ThroughProxy(PROXY, is_insecure=True))
    assert isinstance(pinned, PinnedConnection)
    assert pinned._pins == (PIN,)
    await add_ca_file(tmp_path)
    assert isinstance(choose_trust(build_settings(tmp_path), ThroughProxy(PROXY)), KnownAuthority)


def test_who_verifies_nothing_at_all_is_told_loudly(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    choose_trust(build_settings(tmp_path), ThroughProxy(PROXY, is_insecure=True))
    assert "INSECURE" in caplog.text


def test_an_address_that_may_be_auth_s_own_is_not_where_trust_begins(tmp_path: Path) -> None:
    with pytest.raises(TrustError, match=r"teleport\.ca_pin"):
        choose_trust(build_settings(tmp_path), ThroughProxy(PROXY, may_be_auth=True))


@pytest.mark.parametrize("content", [b"", b"no certificate", b"\xff\xfe", b"-----BEGIN CERTIFICATE-----\nMA==\n"])
def test_a_ca_file_that_holds_no_certificate_is_refused(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "ca.cert").write_bytes(content)
    with pytest.raises(BadParameter):
        choose_trust(build_settings(tmp_path), AUTH)


def test_a_ca_file_that_cannot_be_read_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ca.cert").mkdir()
    with pytest.raises(BadParameter, match="cannot read CA certificates"):
        choose_trust(build_settings(tmp_path), AUTH)


async def test_a_join_asks_whom_to_trust_first_and_shows_a_new_proof_each_time(tmp_path: Path) -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    joining = Joining(auth, build_settings(tmp_path))
    assert await joining.join() != await joining.join()
    assert joining.client.names() == ["trust", "join", "trust", "join"]
    assert [request.proof for request in joining.requests()] == ["proof 1", "proof 2"]
    assert {(request.token_name, request.join_method, request.role) for request in joining.requests()} == {
        (SECRET, "token", "Instance")
    }


async def test_nothing_secret_is_sent_to_a_server_that_is_not_verified(tmp_path: Path) -> None:
    auth = await InProcessAuth.start()
    joining = Joining(auth, build_settings(tmp_path))
    with pytest.raises(TrustError):
        await joining.join(PinnedConnection((PIN,)))
    assert (joining.client.names(), joining.proofs) == (["trust"], 0)


@pytest.mark.parametrize("version", ["0.9.0", "1.0.0", "1.99.3", "2.0.0-beta"])
async def test_a_server_of_this_major_version_or_one_beside_it_is_fine(tmp_path: Path, version: str) -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    joining = Joining(auth, build_settings(tmp_path))
    joining.client.server_version = version
    assert await joining.join()


async def test_a_server_two_major_versions_away_is_refused_unless_told_otherwise(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    joining = Joining(auth, build_settings(tmp_path))
    joining.client.server_version = "3.0.0"
    with pytest.raises(VersionRefused, match=f"{VERSION}.*3.0.0.*upgrade the client"):
        await joining.join()
    assert joining.requests() == []
    patient = Joining(auth, build_settings(tmp_path, skip=True))
    patient.client.server_version = "3.0.0"
    assert await patient.join()
    assert "joining nevertheless" in caplog.text
    assert [request.client_version for request in patient.requests()] == [""]


@pytest.mark.parametrize("version", ["", "latest", "x.1.0", "9" * 5000, "-1.0.0", "\u0661.0.0"])
async def test_a_version_that_is_none_is_refused_and_not_a_crash(tmp_path: Path, version: str) -> None:
    joining = Joining(await InProcessAuth.start(), build_settings(tmp_path))
    joining.client.server_version = version
    with pytest.raises(ConnectionFailed, match="which is none"):
        await joining.join()
    assert joining.requests() == []


def test_a_refusal_tells_the_operator_what_to_do() -> None:
    assert "What to do: the hint." in explain_failure(JoinRefused("refused", "the hint"))
    assert explain_failure(ConnectionFailed("cannot talk to auth:3025")) == "cannot talk to auth:3025"
