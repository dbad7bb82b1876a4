from support.auth import InProcessAuth
from teleport.agent.memory import AgentState
from teleport.api.joined import build_joined, generate_keys


def test_no_private_key_is_in_a_repr() -> None:
    assert "PRIVATE" not in repr(AgentState(pending_keys=generate_keys()))


async def test_what_was_joined_reads_back() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    keys = generate_keys()
    state = AgentState(pending_keys=generate_keys(), joined=build_joined(keys, await auth.join(keys=keys)))
    assert AgentState.model_validate_json(state.model_dump_json()) == state
