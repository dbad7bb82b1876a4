import json
from typing import Any

import pytest

from support.auth import InProcessAuth
from support.clock import FakeClock
from teleport.api.joined import generate_keys
from teleport.api.operations import LOGIN_CERTIFICATES
from teleport.api.people import LoginCertificatesRequest, LoginCertificatesResponse
from teleport.errors import AccessDenied, BadParameter, ConnectionFailed, LimitExceeded, TeleportError, Unavailable
from teleport.proxy.logins import LoginRate, offer_logins
from teleport.web.call import Call, Peer, Reply, RequestHead
from teleport.web.routes import RouteTable

ADDRESS = "192.0.2.7"


class Stage:
    """A host whose auth the test plays."""

    def __init__(self, outcome: LoginCertificatesResponse | TeleportError) -> None:
        self.outcome = outcome
        self.asked: list[LoginCertificatesRequest] = []
        self.clock = FakeClock()
        self.client = self
        self._routes = RouteTable(offer_logins(self, clock=self.clock).routes)  # type: ignore[arg-type]  # of a host it is what is used

    async def call(self, operation: object, request: LoginCertificatesRequest) -> LoginCertificatesResponse:
        assert operation is LOGIN_CERTIFICATES
        self.asked.append(request)
        if isinstance(self.outcome, TeleportError):
            raise self.outcome
        return self.outcome

    async def log_in(self, *, prefix: str = "/v1", address: str = ADDRESS, body: bytes = b"", **fields: Any) -> Reply:
        keys = {"csr": "csr", "ssh_public_key": "key"}
        asked = {"user": "alice", "password": "correct horse", "code": "123456", "keys": keys, **fields}
        head = RequestHead("POST", f"{prefix}/webapi/login/certificates", {})
        route = self._routes.find(head)
        return await route.handler(Call(Peer(address), body or json.dumps(asked).encode(), head))


async def build_response() -> LoginCertificatesResponse:
    auth = await InProcessAuth.start()
    keys = generate_keys().build_public_keys("alice")
    return LoginCertificatesResponse(
        user="alice",
        roles=("access",),
        traits={},
        tls_certificate=keys.csr,
        ssh_certificate=keys.ssh_public_key,
        trust=auth.authority.trust_bundle,
        expires=auth.clock.now(),
    )


@pytest.mark.parametrize("prefix", ["", "/v1"])
async def test_a_login_is_passed_on_with_the_address_it_comes_from(prefix: str) -> None:
    stage = Stage(await build_response())
    reply = await stage.log_in(prefix=prefix, ttl_seconds=60)
    assert (reply.status, json.loads(reply.body)["user"], reply.cache_control) == (200, "alice", "no-store")
    (asked,) = stage.asked
    assert (asked.user, asked.ttl_seconds, asked.remote_addr) == ("alice", 60, ADDRESS)


async def test_nobody_says_themselves_where_they_are() -> None:
    stage = Stage(await build_response())
    with pytest.raises(BadParameter, match="remote_addr: unknown field"):
        await stage.log_in(remote_addr="127.0.0.1")


@pytest.mark.parametrize(
    "fields",
    [{"password": "x" * 1025}, {"code": "1" * 17}, {"user": "u" * 129}, {"ttl_seconds": 59}, {"ttl_seconds": 43201}],
)
async def test_what_is_out_of_bounds_never_reaches_auth_and_is_not_repeated(fields: dict[str, Any]) -> None:
    stage = Stage(AccessDenied("no"))
    with pytest.raises(BadParameter) as refusal:
        await stage.log_in(**fields)
    assert stage.asked == []
    assert str(next(iter(fields.values()))) not in refusal.value.message


@pytest.mark.parametrize("body", [b"[", b"{}", b"null", b"\xff"])
async def test_what_is_no_login_is_refused(body: bytes) -> None:
    with pytest.raises(BadParameter):
        await Stage(AccessDenied("no")).log_in(body=body)


async def test_auths_refusal_is_the_answer() -> None:
    with pytest.raises(AccessDenied, match="wrong, or the user is locked"):
        await Stage(AccessDenied("the code is wrong, or the user is locked")).log_in()


async def test_where_auth_does_not_answer_the_user_may_try_again() -> None:
    with pytest.raises(Unavailable, match="does not answer at present"):
        await Stage(ConnectionFailed("cannot talk to 10.0.0.1:3025")).log_in()


async def test_an_address_that_has_failed_too_often_waits_and_others_do_not() -> None:
    stage, rate = Stage(AccessDenied("no")), LoginRate()
    for _ in range(rate.burst):
        with pytest.raises(AccessDenied):
            await stage.log_in()
    with pytest.raises(LimitExceeded):
        await stage.log_in()
    assert len(stage.asked) == rate.burst
    with pytest.raises(AccessDenied):
        await stage.log_in(address="192.0.2.8")
    stage.clock.advance(rate.period / rate.average)
    with pytest.raises(AccessDenied):
        await stage.log_in()


async def test_logins_that_succeed_cost_nothing() -> None:
    stage = Stage(await build_response())
    for _ in range(LoginRate().burst + 1):
        assert (await stage.log_in()).status == 200
