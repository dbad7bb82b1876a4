import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from support.auth import SECRET, InProcessAuth
from teleport.agent.memory import AgentState
from teleport.agent.secret_items import HOST, IDENTITIES, MAX_BYTES, PENDING, build_items, parse_items
from teleport.api.joined import build_joined, generate_keys
from teleport.errors import BadParameter
from teleport.resources.role import SystemRole

NAMES = [HOST, PENDING, "ids.instance.current", "ids.node.current", "other"]


async def build_state() -> AgentState:
    """Return the state of a process that has joined, and has certificates for two roles."""
    auth = await InProcessAuth.start()
    await auth.add_token()
    keys = generate_keys()
    joined = build_joined(keys, await auth.join(SECRET, keys=keys))
    certificates = joined.certificates[SystemRole.INSTANCE].model_copy(update={"role": SystemRole.NODE})
    return AgentState(joined=joined.with_certificates(generate_keys(), certificates))


async def test_what_is_built_is_parsed() -> None:
    for state in (await build_state(), AgentState(pending_keys=generate_keys()), AgentState()):
        assert parse_items(build_items(state)) == state


async def test_store_003_items_are_named_with_dots_for_slashes() -> None:
    assert set(build_items(await build_state())) == {
        "states.instance.state",
        "ids.instance.current",
        "ids.node.current",
    }
    assert set(build_items(AgentState(pending_keys=generate_keys()))) == {"ids.instance.pending"}
    assert IDENTITIES["ids.windowsdesktop.current"] is SystemRole.WINDOWS_DESKTOP


async def test_an_item_that_is_none_is_refused() -> None:
    with pytest.raises(BadParameter, match=r"'teleport\.last-known-version' is no item"):
        parse_items(build_items(await build_state()) | {"teleport.last-known-version": b"1"})


async def test_identities_without_their_host_are_refused() -> None:
    items = build_items(await build_state())
    del items[HOST]
    with pytest.raises(BadParameter, match=r"'states\.instance\.state' is missing"):
        parse_items(items)


async def test_certificates_of_another_role_are_refused() -> None:
    items = build_items(await build_state())
    items["ids.node.current"] = items["ids.instance.current"]
    with pytest.raises(BadParameter, match=r"'ids\.node\.current' is of another role"):
        parse_items(items)


async def test_an_unknown_field_is_refused_and_no_secret_quoted() -> None:
    items = build_items(await build_state())
    raw = json.loads(items["ids.node.current"])
    items["ids.node.current"] = json.dumps(raw | {"other": raw["keys"]["tls_key"]}).encode()
    with pytest.raises(BadParameter) as refusal:
        parse_items(items)
    assert "item 'ids.node.current': other: unknown field" in refusal.value.message
    assert "PRIVATE" not in f"{refusal.value} {refusal.value.__cause__}"


async def test_all_items_together_are_bounded() -> None:
    items = build_items(await build_state())
    items[HOST] += b" " * (MAX_BYTES - sum(map(len, items.values())))
    assert parse_items(items).joined is not None
    items[HOST] += b" "
    with pytest.raises(BadParameter, match=f"larger than {MAX_BYTES} bytes"):
        parse_items(items)


@given(st.dictionaries(st.sampled_from(NAMES), st.binary(max_size=100) | st.just(b"{}") | st.just(b"null"), min_size=1))
def test_garbage_is_refused_by_name(data: dict[str, bytes]) -> None:
    with pytest.raises(BadParameter):
        parse_items(data)
