import asyncio
from datetime import timedelta

import pytest

from support.app_chain import AuthClient, MemberHost
from support.auth import AUTH_HOST_ID, InProcessAuth, build_host
from teleport.agent.apps import judge as judging
from teleport.agent.apps.judge import FRESH, LONGEST_WITHOUT_AUTH, AppJudge
from teleport.config.settings import Rewrite, Target
from teleport.errors import AccessDenied, ConnectionFailed
from teleport.resources.access_role import Role, RoleConditions, RoleSpec
from teleport.resources.model import Metadata
from teleport.resources.role import SystemRole

HOST_ID = "a0000000-0000-4000-8000-000000000001"
URI = "http://localhost:3000"
APP = Target("grafana", uri=URI, labels={"env": "dev"})
MOMENT = timedelta(microseconds=1)


class Stage:
    """An agent whose auth has given it the label env=prod."""

    def __init__(self, auth: InProcessAuth, host_id: str) -> None:
        self.auth = auth
        self.client = AuthClient(auth, build_host(SystemRole.APP, host_id=host_id))
        self.judge = AppJudge(MemberHost(auth, self.client, host_id), clock=auth.clock)

    @classmethod
    async def start(cls, host_id: str = HOST_ID) -> "Stage":
        auth = await InProcessAuth.start()
        if host_id == HOST_ID:
            write = auth.stores.host_labels.build_write(host_id, {"env": ["prod"]})
            await auth.stores.backend.commit([], [write])
        return cls(auth, host_id)

    def allow(self, **labels: str) -> None:
        conditions = RoleConditions(app_labels={key: (value,) for key, value in labels.items()})
        self.auth.roles.replace([Role(metadata=Metadata(name="role"), spec=RoleSpec(allow=conditions))])

    def deny(self, **labels: str) -> None:
        conditions = RoleConditions(app_labels={key: (value,) for key, value in labels.items()})
        everything = RoleConditions(app_labels={"*": ("*",)})
        spec = RoleSpec(allow=everything, deny=conditions)
        self.auth.roles.replace([Role(metadata=Metadata(name="role"), spec=spec)])

    def sign(self, *roles: str, life: timedelta = timedelta(hours=1), uri: str = URI) -> str:
        now = self.auth.clock.now()
        return self.auth.authority.sign_assertion(
            user="alice",
            roles=roles or ("role",),
            traits={"team": ("blue",)},
            audiences=(uri,),
            not_before=now,
            expires=now + life,
        )


async def test_the_labels_that_auth_gives_let_in() -> None:
    stage = await Stage.start()
    stage.allow(env="prod")
    admission = await stage.judge.admit(stage.sign(), APP)
    assert admission.assertion.user == "alice"


async def test_hostile_69_the_agents_own_labels_let_nobody_in_and_may_keep_out() -> None:
    stage = await Stage.start()
    stage.allow(env="dev")
    with pytest.raises(AccessDenied, match="no role allows"):
        await stage.judge.admit(stage.sign(), APP)
    stage.deny(env="dev")
    stage.auth.clock.advance(FRESH)
    with pytest.raises(AccessDenied, match="denies"):
        await stage.judge.admit(stage.sign(), APP)


async def test_an_agent_in_auths_own_process_is_believed() -> None:
    stage = await Stage.start(AUTH_HOST_ID)
    stage.allow(env="dev")
    await stage.judge.admit(stage.sign(), APP)


async def test_a_role_that_does_not_exist_lets_nobody_in() -> None:
    stage = await Stage.start()
    with pytest.raises(AccessDenied):
        await stage.judge.admit(stage.sign("nothing"), APP)


@pytest.mark.parametrize("text", ["", "a.b.c"])
async def test_what_is_no_assertion_asks_auth_nothing(text: str) -> None:
    stage = await Stage.start()
    with pytest.raises(AccessDenied):
        await stage.judge.admit(text, APP)
    assert stage.client.calls == []


async def test_an_assertion_for_another_application_is_none() -> None:
    stage = await Stage.start()
    with pytest.raises(AccessDenied, match="another application"):
        await stage.judge.admit(stage.sign("access", uri="http://other"), APP)


async def test_an_assertion_is_good_until_its_end() -> None:
    stage = await Stage.start()
    text = stage.sign("access", life=timedelta(seconds=30))
    admission = await stage.judge.admit(text, APP)
    stage.auth.clock.advance(timedelta(seconds=30) + judging.FRESH)
    assert stage.judge.find(text, APP) is None
    with pytest.raises(AccessDenied, match="expired"):
        await stage.judge.admit(text, APP)
    await stage.judge.check(admission.assertion, APP)  # what is under way is judged by its rules alone


async def test_a_verdict_is_used_until_it_is_old_and_rules_are_asked_for_once() -> None:
    stage = await Stage.start()
    text = stage.sign("access")
    await asyncio.gather(*(stage.judge.admit(text, APP) for _ in range(3)))
    stage.auth.clock.advance(FRESH - MOMENT)
    assert stage.judge.find(text, APP) is not None
    assert stage.client.calls == ["apps/rules"]
    stage.auth.clock.advance(MOMENT)
    assert stage.judge.find(text, APP) is None
    await stage.judge.admit(text, APP)
    assert stage.client.calls == ["apps/rules"] * 2


async def test_auth_may_be_away_for_two_minutes_and_not_longer() -> None:
    stage = await Stage.start()
    await stage.judge.admit(stage.sign("access"), APP)
    stage.client.is_down = True
    stage.auth.clock.advance(LONGEST_WITHOUT_AUTH - MOMENT)
    await stage.judge.admit(stage.sign("access"), APP)
    stage.auth.clock.advance(FRESH)
    with pytest.raises(ConnectionFailed):
        await stage.judge.admit(stage.sign("access"), APP)


async def test_a_key_that_the_cluster_trusts_no_more_signs_nothing() -> None:
    stage = await Stage.start()
    text = stage.sign("access")
    other = await InProcessAuth.start()
    stage.judge = AppJudge(MemberHost(other, stage.client, HOST_ID), clock=stage.auth.clock)
    with pytest.raises(AccessDenied):
        await stage.judge.admit(text, APP)


@pytest.mark.parametrize(
    ("claims", "roles", "traits"),
    [("roles", ("access",), {}), ("traits", (), {"team": ("blue",)}), ("none", (), {})],
)
async def test_an_application_is_told_no_more_than_it_should(
    claims: str, roles: tuple[str, ...], traits: dict[str, tuple[str, ...]]
) -> None:
    stage = await Stage.start()
    app = Target("grafana", uri=URI, rewrite=Rewrite(jwt_claims=claims))
    text = stage.sign("access")
    told = (await stage.judge.admit(text, app)).told
    whole = Target("grafana", uri=URI)
    seen = stage.judge._verify(told, whole)
    assert (seen.user, seen.roles, seen.traits) == ("alice", roles, traits)


async def test_so_many_verdicts_are_remembered_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(judging, "MAX_REMEMBERED", 2)
    stage = await Stage.start()
    texts = []
    for _ in range(3):
        stage.auth.clock.advance(timedelta(seconds=1))
        texts.append(stage.sign("access"))
        await stage.judge.admit(texts[-1], APP)
    assert [stage.judge.find(text, APP) is not None for text in texts] == [False, True, True]
