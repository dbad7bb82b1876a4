import pytest

from support.backend import SteeredBackend
from support.clock import FakeClock
from support.interrupted_backend import InterruptedBackend
from teleport.auth.stores.cluster import SEAL_KEY, SEAL_KIND, check_seal, decide_cluster_name, is_new
from teleport.backend.protocol import Put
from teleport.errors import BadParameter, SealError
from teleport.pki.seal import Sealer, SealKey


@pytest.fixture
def backend() -> SteeredBackend:
    return SteeredBackend(clock=FakeClock())


@pytest.fixture
def sealer() -> Sealer:
    return Sealer(SealKey(bytes(32)))


async def test_the_first_seal_key_is_remembered(backend: SteeredBackend, sealer: Sealer) -> None:
    assert await is_new(backend)
    await check_seal(backend, sealer)
    assert not await is_new(backend)
    await check_seal(backend, sealer)


async def test_another_seal_key_is_refused_and_changes_nothing(backend: SteeredBackend, sealer: Sealer) -> None:
    await check_seal(backend, sealer)
    before = await backend.range("")
    with pytest.raises(SealError, match="nothing was changed"):
        await check_seal(backend, Sealer(SealKey(b"\x01" * 32)))
    assert await backend.range("") == before


async def test_two_servers_that_start_at_once_agree(backend: SteeredBackend, sealer: Sealer) -> None:
    await check_seal(backend, sealer)
    await decide_cluster_name(backend, None, "theirs")
    contended = InterruptedBackend()
    for item in await backend.range(""):
        contended.write_before_next_commit(Put(item.key, item.value))
    assert await decide_cluster_name(contended, None, "ours") == "theirs"
    await check_seal(contended, sealer)


async def test_two_servers_with_different_seal_keys_do_not(backend: SteeredBackend, sealer: Sealer) -> None:
    await check_seal(backend, Sealer(SealKey(b"\x01" * 32)))
    contended = InterruptedBackend()
    for item in await backend.range(""):
        contended.write_before_next_commit(Put(item.key, item.value))
    with pytest.raises(SealError):
        await check_seal(contended, sealer)


async def test_an_unknown_seal_check_is_refused(backend: SteeredBackend, sealer: Sealer) -> None:
    await backend.commit([], [Put(SEAL_KEY, sealer.seal(b"from the future", key=SEAL_KEY, kind=SEAL_KIND))])
    with pytest.raises(SealError, match="newer version"):
        await check_seal(backend, sealer)


async def test_the_first_start_decides_the_name(backend: SteeredBackend) -> None:
    assert await decide_cluster_name(backend, "example.com", "node") == "example.com"
    assert await decide_cluster_name(backend, None, "another-node") == "example.com"
    assert await decide_cluster_name(backend, "example.com", "another-node") == "example.com"


async def test_without_a_wish_the_name_is_the_nodes(backend: SteeredBackend) -> None:
    assert await decide_cluster_name(backend, None, "node") == "node"


async def test_another_name_later_is_refused(backend: SteeredBackend) -> None:
    await decide_cluster_name(backend, "example.com", "node")
    with pytest.raises(BadParameter, match="cannot become 'other'"):
        await decide_cluster_name(backend, "other", "node")
