from datetime import timedelta
from typing import Any

import pytest

from support.auth import ADMIN, AUTH_HOST_ID, HOST_ID, InProcessAuth, build_host, build_user, to_der
from teleport.api import operations as ops
from teleport.api import people as p
from teleport.api.joined import generate_keys
from teleport.api.messages import HeartbeatRequest
from teleport.auth.access import Caller
from teleport.auth.callers import identify
from teleport.auth.logins import REFUSAL
from teleport.errors import AccessDenied, AlreadyExists, BadParameter, CompareFailed, NotFound
from teleport.pki.jwks import parse_jwks, render_jwks, verify_jwt
from teleport.pki.jwt import parse_jwt
from teleport.pki.totp import compute_code, find_step
from teleport.resources.access_role import Role, RoleConditions, RoleOptions, RoleSpec
from teleport.resources.model import Metadata
from teleport.resources.role import SystemRole
from teleport.resources.token import Token, TokenSpec
from teleport.resources.user import User, UserSpec

PASSWORD = "correct horse battery"
PROXY = build_host(SystemRole.PROXY, host_id="f0000000-0000-4000-8000-000000000001")
BROWSER = "203.0.113.9"


@pytest.fixture
async def auth() -> InProcessAuth:
    return await InProcessAuth.start()


async def call(auth: InProcessAuth, operation: ops.Operation[Any, Any], request: Any, caller: Caller = PROXY) -> Any:
    return await auth.people.table[operation](request, caller)


async def invite(auth: InProcessAuth, user: str = "alice", roles: tuple[str, ...] = ("access",)) -> str:
    link = await call(auth, ops.USER_INVITE, p.UserInviteRequest(user=user, roles=roles), ADMIN)
    return str(link.url.rpartition("/")[2])


class Person:
    """Somebody with a password and an authenticator."""

    def __init__(self, auth: InProcessAuth, secret: str, session: p.WebSession) -> None:
        self.auth = auth
        self.secret = secret
        self.session = session

    def next_code(self) -> str:
        """Return a code that was not used yet."""
        self.auth.clock.advance(timedelta(seconds=30))
        return compute_code(self.secret, find_step(self.auth.clock.now()))

    async def log_in(self, password: str = PASSWORD, code: str | None = None, user: str = "alice") -> p.WebSession:
        request = p.LoginRequest(user=user, password=password, code=code or self.next_code(), remote_addr=BROWSER)
        session = await call(self.auth, ops.LOGIN_WEB, request)
        assert isinstance(session, p.WebSession)
        return session

    async def fail(self, times: int, user: str = "alice") -> None:
        for _ in range(times):
            with pytest.raises(AccessDenied, match=REFUSAL):
                await self.log_in("a wrong password", user=user)


async def enrol(auth: InProcessAuth, user: str = "alice", roles: tuple[str, ...] = ("access",)) -> Person:
    return await accept(auth, await invite(auth, user, roles))


async def accept(auth: InProcessAuth, invite_id: str, password: str = PASSWORD) -> Person:
    shown = await call(auth, ops.INVITE_SHOW, p.InviteShowRequest(invite_id=invite_id))
    code = compute_code(shown.totp_secret, find_step(auth.clock.now()))
    request = p.InviteAcceptRequest(invite_id=invite_id, password=password, code=code, remote_addr=BROWSER)
    return Person(auth, shown.totp_secret, await call(auth, ops.INVITE_ACCEPT, request))


async def show(auth: InProcessAuth, session: p.WebSession) -> p.SessionResponse:
    answer = await call(auth, ops.SESSION_SHOW, p.SessionRequest(session_id=session.session_id))
    assert isinstance(answer, p.SessionResponse)
    return answer


async def test_whoever_accepts_an_invitation_is_signed_in_and_can_sign_in_again(auth: InProcessAuth) -> None:
    alice = await enrol(auth)
    assert (await show(auth, alice.session)).user == "alice"
    again = await alice.log_in()
    assert again.session_id != alice.session.session_id
    assert again.roles == ("access",)


async def test_an_invitation_is_good_once(auth: InProcessAuth) -> None:
    invite_id = await invite(auth)
    await accept(auth, invite_id)
    with pytest.raises(NotFound, match="was used"):
        await accept(auth, invite_id)


async def test_an_invitation_ends_after_its_time(auth: InProcessAuth) -> None:
    invite_id = await invite(auth)
    auth.clock.advance(timedelta(hours=1))
    await call(auth, ops.INVITE_SHOW, p.InviteShowRequest(invite_id=invite_id))
    auth.clock.advance(timedelta(microseconds=1))
    with pytest.raises(NotFound):
        await call(auth, ops.INVITE_SHOW, p.InviteShowRequest(invite_id=invite_id))


async def test_an_invitation_shows_the_same_secret_on_every_look(auth: InProcessAuth) -> None:
    request = p.InviteShowRequest(invite_id=await invite(auth))
    assert await call(auth, ops.INVITE_SHOW, request) == await call(auth, ops.INVITE_SHOW, request)


@pytest.mark.parametrize(
    ("password", "reason"),
    [("a" * 11, "at least 12"), ("a" * 129, "at most 128"), ("é" * 65, "at most 128")],
)
async def test_a_password_outside_the_bounds_is_refused_and_the_link_stays(
    auth: InProcessAuth, password: str, reason: str
) -> None:
    invite_id = await invite(auth)
    with pytest.raises(BadParameter, match=reason):
        await accept(auth, invite_id, password)
    await accept(auth, invite_id)


@pytest.mark.parametrize("password", ["a" * 12, "a" * 128])
async def test_a_password_at_the_bounds_is_good(auth: InProcessAuth, password: str) -> None:
    alice = await accept(auth, await invite(auth), password)
    await alice.log_in(password)


async def test_five_wrong_codes_end_a_link(auth: InProcessAuth) -> None:
    invite_id = await invite(auth)
    request = p.InviteAcceptRequest(invite_id=invite_id, password=PASSWORD, code="wrong")
    for _ in range(5):
        with pytest.raises(AccessDenied, match="the code is wrong"):
            await call(auth, ops.INVITE_ACCEPT, request)
    with pytest.raises(NotFound):
        await accept(auth, invite_id)


async def test_the_same_user_is_not_invited_twice(auth: InProcessAuth) -> None:
    await invite(auth)
    with pytest.raises(AlreadyExists):
        await invite(auth)


async def test_a_role_that_nobody_made_is_given_to_nobody(auth: InProcessAuth) -> None:
    with pytest.raises(BadParameter, match="unknown role 'root'"):
        await invite(auth, roles=("root",))


async def test_a_code_lets_in_once(auth: InProcessAuth) -> None:
    alice = await enrol(auth)
    code = alice.next_code()
    await alice.log_in(code=code)
    with pytest.raises(AccessDenied, match=REFUSAL):
        await alice.log_in(code=code)


async def test_neither_the_password_nor_the_code_alone_is_enough(auth: InProcessAuth) -> None:
    alice = await enrol(auth)
    with pytest.raises(AccessDenied, match=REFUSAL):
        await alice.log_in("another password")
    with pytest.raises(AccessDenied, match=REFUSAL):
        await alice.log_in(code="abcdef")


async def test_four_failures_lock_nobody(auth: InProcessAuth) -> None:
    alice = await enrol(auth)
    await alice.fail(4)
    await alice.log_in()
    await alice.fail(4)
    await alice.log_in()


async def test_five_failures_lock_for_half_an_hour(auth: InProcessAuth) -> None:
    alice = await enrol(auth)
    await alice.fail(5)
    locked = await auth.people.users.get("alice", with_secrets=False)
    assert isinstance(locked, User)
    until = locked.spec.status.locked_until
    assert until == auth.clock.now() + timedelta(minutes=30)
    with pytest.raises(AccessDenied, match=REFUSAL):
        await alice.log_in()
    auth.clock.advance(timedelta(minutes=30))
    await alice.log_in()
    assert (await auth.list_events("user.login"))[-2]["reason"] == "locked"


async def test_a_stranger_learns_nothing_from_the_lock_of_a_user_who_does_not_exist(auth: InProcessAuth) -> None:
    alice = await enrol(auth)
    spent = []
    for name in ("nobody", "alice"):
        auth.backend.calls.clear()
        await alice.fail(6, user=name)
        spent.append(auth.backend.calls["commit"])
    assert spent == [11, 11]
    reasons = [event["reason"] for event in await auth.list_events("user.login")]
    assert reasons == [*["wrong_password_or_code"] * 5, "locked"] * 2


async def test_what_was_typed_as_the_name_of_nobody_is_not_logged(auth: InProcessAuth) -> None:
    alice = await enrol(auth)
    await alice.fail(1, user=PASSWORD.replace(" ", "-"))
    failure = await auth.last_event()
    assert "user" not in failure
    assert failure["remote_addr"] == BROWSER


async def test_a_reset_ends_the_lock_the_password_and_the_sessions(auth: InProcessAuth) -> None:
    alice = await enrol(auth)
    await alice.fail(5)
    link = await call(auth, ops.USER_RESET, p.UserResetRequest(user="alice"), ADMIN)
    assert "/web/reset/" in link.url
    with pytest.raises(AccessDenied):
        await show(auth, alice.session)
    with pytest.raises(AccessDenied):
        await alice.log_in()
    renewed = await accept(auth, link.url.rpartition("/")[2], "another good password")
    await renewed.log_in("another good password")
    assert renewed.secret != alice.secret


async def test_whoever_does_not_exist_is_not_reset(auth: InProcessAuth) -> None:
    with pytest.raises(NotFound):
        await call(auth, ops.USER_RESET, p.UserResetRequest(user="nobody"), ADMIN)


async def test_with_a_user_their_sessions_and_links_end_also_for_the_next_of_that_name(auth: InProcessAuth) -> None:
    alice = await enrol(auth)
    link = await call(auth, ops.USER_RESET, p.UserResetRequest(user="alice"), ADMIN)
    await auth.people.users.delete("alice", "", ADMIN)
    with pytest.raises(NotFound):
        await call(auth, ops.INVITE_SHOW, p.InviteShowRequest(invite_id=link.url.rpartition("/")[2]))
    await enrol(auth)
    with pytest.raises(AccessDenied, match="sign in again"):
        await show(auth, alice.session)


async def test_a_session_ends_with_sign_out_and_by_its_roles(auth: InProcessAuth) -> None:
    short = Role(metadata=Metadata(name="short"), spec=RoleSpec(options=RoleOptions(max_session_ttl="10m")))
    await auth.people.roles.create(short, ADMIN)
    alice = await enrol(auth, roles=("access", "short"))
    assert alice.session.expires == auth.clock.now() + timedelta(minutes=10)
    await call(auth, ops.SESSION_END, p.SessionRequest(session_id=alice.session.session_id))
    with pytest.raises(AccessDenied):
        await show(auth, alice.session)
    again = await alice.log_in()
    auth.clock.advance(timedelta(minutes=10, microseconds=1))
    with pytest.raises(AccessDenied):
        await show(auth, again)


async def test_a_session_has_the_roles_of_now(auth: InProcessAuth) -> None:
    alice = await enrol(auth)
    present = await auth.people.users.get("alice", with_secrets=False)
    assert isinstance(present, User)
    await auth.people.users.update(present.model_copy(update={"spec": UserSpec(roles=("auditor",))}), ADMIN)
    assert (await show(auth, alice.session)).roles == ("auditor",)
    with pytest.raises(CompareFailed):
        await auth.people.users.update(present, ADMIN)


async def test_a_session_nobody_began_is_no_session(auth: InProcessAuth) -> None:
    with pytest.raises(AccessDenied):
        await call(auth, ops.SESSION_SHOW, p.SessionRequest(session_id="x"))


async def test_certificates_of_a_login_carry_the_users_roles_and_end_after_twelve_hours(auth: InProcessAuth) -> None:
    alice = await enrol(auth)
    request = p.LoginCertificatesRequest(
        user="alice", password=PASSWORD, code=alice.next_code(), keys=generate_keys().build_public_keys("alice")
    )
    answer = await call(auth, ops.LOGIN_CERTIFICATES, request)
    caller = identify(to_der(answer.tls_certificate), "", authority=auth.authority, roles=auth.roles, clock=auth.clock)
    assert (caller.name, caller.roles) == ("alice", frozenset({"access"}))
    assert answer.expires == (auth.clock.now() + timedelta(hours=12)).replace(microsecond=0)


async def test_links_are_listed_among_tokens_and_removed_there(auth: InProcessAuth) -> None:
    invite_id = await invite(auth)
    tokens, _ = await auth.tokens.list_page(after="", limit=10, with_secrets=True)
    assert [(each.metadata.labels, each.spec.roles) for each in tokens if isinstance(each, Token)] == [
        ({"teleport.dev/user": "alice"}, (SystemRole.SIGNUP,))
    ]
    assert invite_id not in tokens[0].name
    await auth.tokens.delete(tokens[0].name, "", ADMIN)
    with pytest.raises(NotFound):
        await call(auth, ops.INVITE_SHOW, p.InviteShowRequest(invite_id=invite_id))


async def test_nobody_joins_with_a_link(auth: InProcessAuth) -> None:
    invite_id = await invite(auth)
    with pytest.raises(AccessDenied):
        await auth.join(invite_id)


async def test_no_secret_of_a_user_is_stored_as_it_is(auth: InProcessAuth) -> None:
    invite_id = await invite(auth)
    alice = await accept(auth, invite_id)
    stored = b"".join(item.key.encode() + item.value for item in await auth.backend.range("", limit=1000))
    for secret in (PASSWORD, invite_id, alice.secret, alice.session.session_id):
        assert secret.encode() not in stored


DEV = Role(metadata=Metadata(name="dev"), spec=RoleSpec(allow=RoleConditions(app_labels={"env": ("dev",)})))


async def serve(auth: InProcessAuth, host_id: str, *, declared: str = "", uri: str = "http://127.0.0.1:8080") -> None:
    labels = {"env": declared} if declared else {}
    record = {
        "kind": "app_server",
        "metadata": {"name": "grafana", "labels": labels},
        "spec": {"uri": uri, "public_addr": "grafana.example.com", "protocol": "HTTP"},
    }
    host = build_host(SystemRole.APP, host_id=host_id)
    await auth.heartbeats.announce(HeartbeatRequest(hostname="h", version="1.0.0", servers=(record,)), host)


async def join_app(auth: InProcessAuth, env: str = "", name: str = "an-app-token-of-this-test") -> str:
    spec = TokenSpec(roles=(SystemRole.APP,), join_method="token", suggested_labels={"env": [env]} if env else {})
    await auth.tokens.create(Token(metadata=Metadata(name=name), spec=spec), ADMIN)
    return (await auth.join(name)).host_id


async def list_apps(auth: InProcessAuth, person: Person) -> list[str]:
    answer = await call(auth, ops.APPS_LIST, p.AppsListRequest(session_id=person.session.session_id))
    return [app.name for app in answer.apps]


def ask_for(person: Person, **fields: str) -> p.AppSessionRequest:
    return p.AppSessionRequest(session_id=person.session.session_id, remote_addr=BROWSER, **fields)


async def test_an_application_opens_by_the_labels_of_the_token_by_which_its_agent_joined(auth: InProcessAuth) -> None:
    await auth.people.roles.create(DEV, ADMIN)
    alice = await enrol(auth, roles=("dev",))
    host_id = await join_app(auth, "dev")
    await serve(auth, host_id)
    assert await list_apps(auth, alice) == ["grafana"]
    for named in ({"app": "grafana"}, {"public_addr": "grafana.example.com"}):
        opened = await call(auth, ops.APP_SESSION, ask_for(alice, **named))
        assert opened.host_ids == (host_id,)
    token = parse_jwt(opened.assertion)
    verify_jwt(token, parse_jwks(render_jwks(auth.authority.trust_bundle.jwt["jwt"]).decode()))
    now = int(auth.clock.now().timestamp())
    assert token.claims == {
        "iss": "example.com",
        "sub": "alice",
        "username": "alice",
        "roles": ["dev"],
        "traits": {},
        "aud": ["http://127.0.0.1:8080"],
        "nbf": now,
        "iat": now,
        "exp": now + 3600,
    }


async def test_hostile_69_an_agent_that_declares_other_labels_opens_nothing(auth: InProcessAuth) -> None:
    await auth.people.roles.create(DEV, ADMIN)
    alice = await enrol(auth, roles=("dev",))
    await serve(auth, await join_app(auth, "prod"), declared="dev")
    assert await list_apps(auth, alice) == []
    with pytest.raises(AccessDenied, match="no such application"):
        await call(auth, ops.APP_SESSION, ask_for(alice, app="grafana"))
    assert (await auth.last_event())["event"] == "app.session.start"


async def test_hostile_69_an_agent_that_takes_anothers_name_gets_none_of_its_users(auth: InProcessAuth) -> None:
    await auth.people.roles.create(DEV, ADMIN)
    alice = await enrol(auth, roles=("dev",))
    good = await join_app(auth, "dev")
    await serve(auth, good)
    await serve(auth, await join_app(auth, name="another-token-of-this-test"), declared="dev", uri="http://evil")
    opened = await call(auth, ops.APP_SESSION, ask_for(alice, app="grafana"))
    assert opened.host_ids == (good,)
    assert parse_jwt(opened.assertion).claims["aud"] == ["http://127.0.0.1:8080"]


async def test_labels_of_the_agent_beside_auth_are_as_good_as_auths(auth: InProcessAuth) -> None:
    await auth.people.roles.create(DEV, ADMIN)
    alice = await enrol(auth, roles=("dev",))
    await serve(auth, AUTH_HOST_ID, declared="dev")
    assert await list_apps(auth, alice) == ["grafana"]


async def test_what_does_not_exist_and_what_is_not_allowed_are_told_apart_by_nobody(auth: InProcessAuth) -> None:
    alice = await enrol(auth, roles=("editor",))
    await serve(auth, HOST_ID)
    answers = set()
    for app in ("grafana", "nothing"):
        with pytest.raises(AccessDenied) as refused:
            await call(auth, ops.APP_SESSION, ask_for(alice, app=app))
        answers.add(refused.value.message)
    assert len(answers) == 1


async def test_a_user_asks_for_themselves_and_for_nobody_else(auth: InProcessAuth) -> None:
    alice = await enrol(auth)
    await serve(auth, HOST_ID)
    await enrol(auth, "bob")
    opened = await call(auth, ops.APP_SESSION, p.AppSessionRequest(app="grafana"), build_user("access", name="bob"))
    assert opened.user == "bob"
    with pytest.raises(AccessDenied, match="only a proxy"):
        await call(auth, ops.APP_SESSION, ask_for(alice, app="grafana"), build_user("access", name="bob"))


async def test_a_certificate_gives_no_role_that_its_user_has_lost(auth: InProcessAuth) -> None:
    await enrol(auth, roles=("editor",))
    await serve(auth, HOST_ID)
    with pytest.raises(AccessDenied):
        await call(auth, ops.APP_SESSION, p.AppSessionRequest(app="grafana"), build_user("access"))


async def test_a_certificate_opens_nothing_once_its_user_is_removed(auth: InProcessAuth) -> None:
    await enrol(auth)
    await serve(auth, HOST_ID)
    request = p.AppSessionRequest(app="grafana")
    assert (await call(auth, ops.APP_SESSION, request, build_user("access"))).user == "alice"
    await auth.people.users.delete("alice", "", ADMIN)
    with pytest.raises(AccessDenied, match="no user 'alice'"):
        await call(auth, ops.APP_SESSION, request, build_user("access"))


async def test_an_agent_learns_the_roles_it_asks_for_and_its_own_labels(auth: InProcessAuth) -> None:
    await auth.people.roles.create(DEV, ADMIN)
    host_id = await join_app(auth, "dev")
    request = p.AppRulesRequest(roles=("dev", "nothing"))
    rules = await call(auth, ops.APP_RULES, request, build_host(SystemRole.APP, host_id=host_id))
    assert [role["metadata"]["name"] for role in rules.roles] == ["dev"]
    assert rules.labels == {"env": ("dev",)}


@pytest.mark.parametrize("name", ["access", "editor", "auditor"])
async def test_presets_are_always_there(auth: InProcessAuth, name: str) -> None:
    assert (await auth.people.roles.get(name, with_secrets=False)).name == name
    with pytest.raises(BadParameter, match="preset"):
        await auth.people.roles.delete(name, "", ADMIN)
    with pytest.raises(BadParameter, match="preset"):
        await auth.people.roles.upsert(Role(metadata=Metadata(name=name)), ADMIN)


async def test_a_role_counts_from_the_moment_it_is_stored_until_it_is_removed(auth: InProcessAuth) -> None:
    created = await auth.people.roles.create(DEV, ADMIN)
    with pytest.raises(AlreadyExists):
        await auth.people.roles.create(DEV, ADMIN)
    with pytest.raises(CompareFailed):
        await auth.people.roles.update(DEV, ADMIN)
    await auth.people.roles.update(created, ADMIN)
    assert auth.roles.find(["dev"])
    await auth.people.roles.delete("dev", "", ADMIN)
    assert not auth.roles.find(["dev"])
    with pytest.raises(NotFound):
        await auth.people.roles.delete("dev", "", ADMIN)


@pytest.mark.parametrize("text", ["soon", "59s"])
async def test_a_role_whose_session_could_not_be_is_refused(auth: InProcessAuth, text: str) -> None:
    role = Role(metadata=Metadata(name="odd"), spec=RoleSpec(options=RoleOptions(max_session_ttl=text)))
    with pytest.raises(BadParameter):
        await auth.people.roles.create(role, ADMIN)
