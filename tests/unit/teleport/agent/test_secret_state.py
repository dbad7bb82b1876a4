import logging
from pathlib import Path

import pytest

from support.auth import SECRET, InProcessAuth
from support.auth_client import RememberedState
from support.fake_secrets import FakeSecrets, Killed
from teleport.agent.memory import AgentState
from teleport.agent.secret_items import build_items
from teleport.agent.secret_place import SecretPlace
from teleport.agent.secret_state import SecretState
from teleport.agent.state import FileState
from teleport.api.joined import build_joined, generate_keys
from teleport.errors import StorageError, Unavailable
from teleport.kube.errors import Forbidden, NoAnswer
from teleport.kube.objects import Secret

NAMESPACE, NAME = "ns", "app-0-state"
PLACE = SecretPlace(NAMESPACE, "app-0", "agents")
FORBIDDEN = 'Kubernetes does not allow it: User "system:serviceaccount:ns:app" cannot get resource "secrets"'


def build_pending() -> AgentState:
    return AgentState(pending_keys=generate_keys())


def start(api: FakeSecrets, local: AgentState | None = None) -> SecretState:
    """Return the store of a process that has just started."""
    return SecretState(api=api, place=PLACE, local=RememberedState(local))


def find(api: FakeSecrets) -> Secret:
    return api.secrets[NAMESPACE, NAME]


async def test_an_agent_that_never_ran_remembers_nothing_and_makes_no_secret() -> None:
    api = FakeSecrets()
    assert await start(api).load() == AgentState()
    assert api.secrets == {}


async def test_what_is_stored_is_loaded_by_the_next_process() -> None:
    api, pending = FakeSecrets(), build_pending()
    states = start(api)
    await states.load()
    await states.store(pending)
    assert await start(api).load() == pending


async def test_the_first_write_makes_the_secret_and_every_write_is_bound_to_the_version_before() -> None:
    api = FakeSecrets()
    states = start(api)
    await states.load()
    await states.store(build_pending())
    await states.store(build_pending())
    assert api.calls == ["get", "create", "apply", "apply"]
    assert [secret.resource_version for secret in api.applied] == ["1", "2"]
    assert {tuple(secret.annotations) for secret in api.applied} == {tuple(PLACE.annotations)}
    assert {tuple(secret.labels) for secret in api.applied} == {tuple(PLACE.labels)}


async def test_a_local_state_is_copied_where_there_is_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    api, local = FakeSecrets(), build_pending()
    assert await start(api, local).load() == local
    assert find(api).data == build_items(local)
    assert "copied from the memory of the test to Secret ns/app-0-state" in caplog.text


async def test_a_local_state_is_copied_into_a_secret_that_is_empty() -> None:
    api, local = FakeSecrets(), build_pending()
    api.write(NAMESPACE, NAME, {})
    assert await start(api, local).load() == local
    assert find(api).data == build_items(local)


async def test_a_secret_wins_over_a_local_state() -> None:
    api, kept = FakeSecrets(), build_pending()
    api.write(NAMESPACE, NAME, build_items(kept))
    assert await start(api, build_pending()).load() == kept
    assert api.calls == ["get"]


async def test_a_local_state_that_is_damaged_is_said_and_not_copied(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc" / "state.json").write_text("{")
    api = FakeSecrets()
    with pytest.raises(StorageError, match=r"state\.json does not hold"):
        await SecretState(api=api, place=PLACE, local=FileState(tmp_path)).load()
    assert api.secrets == {}


async def test_a_secret_of_something_else_is_refused_with_what_to_do() -> None:
    api = FakeSecrets()
    api.write(NAMESPACE, NAME, {"password": b"hidden"})
    with pytest.raises(StorageError, match=r"Secret ns/app-0-state does not hold .*remove it to join anew") as refusal:
        await start(api, build_pending()).load()
    assert "hidden" not in refusal.value.message
    assert find(api).data == {"password": b"hidden"}


async def test_a_secret_that_was_labelled_meanwhile_is_written() -> None:
    api, pending, after = FakeSecrets(), build_pending(), build_pending()
    states = start(api)
    await states.load()
    await states.store(pending)
    api.write(NAMESPACE, NAME, find(api).data)
    await states.store(after)
    assert find(api).data == build_items(after)


async def test_a_secret_that_was_deleted_is_made_again() -> None:
    api, after = FakeSecrets(), build_pending()
    states = start(api)
    await states.load()
    await states.store(build_pending())
    api.secrets.clear()
    await states.store(after)
    assert find(api).data == build_items(after)


@pytest.mark.parametrize("has_stored", [False, True])
async def test_what_another_process_wrote_is_left_alone_and_told(has_stored: bool) -> None:
    api, other = FakeSecrets(), build_items(build_pending())
    states = start(api)
    await states.load()
    if has_stored:
        await states.store(build_pending())
    api.write(NAMESPACE, NAME, other)
    for _ in range(2):
        with pytest.raises(StorageError, match="another process has written into Secret ns/app-0-state"):
            await states.store(build_pending())
    assert find(api).data == other


async def test_of_two_that_make_the_secret_at_the_same_moment_one_is_told() -> None:
    api, one, other = FakeSecrets(), build_pending(), build_pending()
    first, second = start(api), start(api)
    await first.load()
    await second.load()
    api.fail_call(len(api.calls) + 2, NoAnswer("the answer is lost"))
    with pytest.raises(Unavailable):
        await first.store(one)  # it has made the Secret, and has not written yet
    await second.store(other)
    with pytest.raises(StorageError, match="another process"):
        await first.store(one)
    assert find(api).data == build_items(other)


@pytest.mark.parametrize("call", [1, 2])
async def test_an_answer_that_is_lost_is_no_stranger_s_write(call: int) -> None:
    api, first, second = FakeSecrets(), build_pending(), build_pending()
    states = start(api)
    await states.load()
    api.fail_call(len(api.calls) + call, NoAnswer("the answer is lost"), done=True)
    with pytest.raises(Unavailable):
        await states.store(first)
    api.fail_next(NoAnswer("away"))
    with pytest.raises(Unavailable):
        await states.store(second)
    await states.store(second)
    assert find(api).data == build_items(second)


async def test_a_secret_that_keeps_changing_is_tried_again_later() -> None:
    class Restless(FakeSecrets):
        async def get_secret(self, namespace: str, name: str) -> Secret | None:
            found = await super().get_secret(namespace, name)
            if found is not None:
                self.write(namespace, name, found.data)
            return found

    api = Restless()
    states = start(api)
    await states.load()
    await states.store(build_pending())
    api.write(NAMESPACE, NAME, find(api).data)
    with pytest.raises(Unavailable, match="keeps changing"):
        await states.store(build_pending())


async def test_without_the_right_the_role_that_helps_is_named() -> None:
    api = FakeSecrets()
    api.fail_next(Forbidden(FORBIDDEN))
    with pytest.raises(Unavailable) as refusal:
        await start(api).load()
    assert 'cannot get resource "secrets"' in refusal.value.message
    assert "kubectl create role ns-app-state --namespace=ns --verb=get,create,patch" in refusal.value.message
    assert "--serviceaccount=ns:app" in refusal.value.message


async def test_an_api_server_that_does_not_answer_is_said_with_its_reason() -> None:
    api = FakeSecrets()
    states = start(api)
    await states.load()
    api.fail_next(NoAnswer("cannot ask https://10.0.0.1: no answer in time"))
    with pytest.raises(Unavailable, match=r"cannot keep .* in Secret ns/app-0-state: .*no answer in time"):
        await states.store(build_pending())


async def live(api: FakeSecrets, auth: InProcessAuth, local: AgentState) -> None:
    """Do what an agent does at its start: load, keep the keys, join, keep the identity."""
    states = start(api, local)
    state = await states.load()
    if state.joined is not None:
        return
    keys = state.pending_keys or generate_keys()
    await states.store(AgentState(pending_keys=keys))
    response = await auth.join(SECRET, keys=keys)
    await states.store(AgentState(joined=build_joined(keys, response)))


@pytest.mark.parametrize("done", [False, True])
@pytest.mark.parametrize("call", [1, 2, 3, 4])
@pytest.mark.parametrize("has_local", [False, True])
async def test_hostile_52_killed_at_any_step_the_next_start_goes_on_with_the_same_key(
    has_local: bool, call: int, done: bool
) -> None:
    api, auth = FakeSecrets(), await InProcessAuth.start()
    local = build_pending() if has_local else AgentState()
    await auth.add_token(SECRET, limits={"max_uses": 1})
    api.fail_call(call, Killed(), done=done)
    with pytest.raises(Killed):
        await live(api, auth, local)
    await live(api, auth, local)
    state = await start(api).load()
    assert state.joined is not None
    assert state.pending_keys is None  # another key than the first one's would have been a second use
