import pytest

from support.auth import SECRET
from support.backend import SteeredBackend
from support.clock import FakeClock
from teleport.auth.stores.static_tokens import KEY, StaticTokenStore
from teleport.errors import SealError
from teleport.pki.seal import Sealer, SealKey
from teleport.resources.role import SystemRole

NODE, APP = SystemRole.NODE, SystemRole.APP


class Stored:
    """The static tokens, and what is under them."""

    def __init__(self, backend: SteeredBackend | None = None, seal_key: bytes = bytes(32)) -> None:
        self.backend = backend or SteeredBackend(clock=FakeClock())
        self.sealer = Sealer(SealKey(seal_key))
        self.tokens = StaticTokenStore(backend=self.backend, sealer=self.sealer)


async def test_they_are_found_by_their_hash_and_never_expire() -> None:
    stored = Stored()
    await stored.tokens.replace([((NODE, APP), SECRET)])
    found = stored.tokens.find(stored.sealer.lookup_id(SECRET))
    assert found is not None
    assert (found.token.name, found.token.spec.roles, found.token.spec.join_method) == (SECRET, (NODE, APP), "token")
    assert (found.token.metadata.expires, found.revision, found.unchanged) == (None, None, ())
    assert found.token.metadata.labels == {"teleport.dev/origin": "config-file"}


async def test_others_are_not_found() -> None:
    stored = Stored()
    await stored.tokens.replace([((NODE,), SECRET)])
    assert stored.tokens.find(stored.sealer.lookup_id("another")) is None


async def test_they_are_sealed() -> None:
    stored = Stored()
    await stored.tokens.replace([((NODE,), SECRET)])
    (item,) = await stored.backend.range("")
    assert item.key == KEY
    assert SECRET.encode() not in item.value
    with pytest.raises(SealError):
        await Stored(stored.backend, b"\x01" * 32).tokens.reload()


async def test_what_the_configuration_no_longer_says_admits_nobody() -> None:
    stored = Stored()
    await stored.tokens.replace([((NODE,), SECRET)])
    await stored.tokens.replace([])
    assert stored.tokens.list_all() == []


async def test_a_cluster_without_any_has_none() -> None:
    stored = Stored()
    await stored.tokens.reload()
    assert stored.tokens.list_all() == []
