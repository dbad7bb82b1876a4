import pytest

from support.backend import SteeredBackend
from support.clock import FakeClock
from support.interrupted_backend import InterruptedBackend
from teleport.auth.stores.authorities import AuthorityStore
from teleport.backend.protocol import Put
from teleport.errors import CompareFailed, NotFound, SealError
from teleport.pki.seal import Sealer, SealKey
from teleport.resources.authority import AuthorityType

CLUSTER = "example.com"


def open_store(backend: SteeredBackend, seal_key: bytes = bytes(32)) -> AuthorityStore:
    return AuthorityStore(backend=backend, sealer=Sealer(SealKey(seal_key)), clock=FakeClock())


@pytest.fixture
def backend() -> SteeredBackend:
    return SteeredBackend(clock=FakeClock())


async def test_a_new_cluster_gets_every_authority_with_the_keys_of_its_type(backend: SteeredBackend) -> None:
    made = await open_store(backend).load_or_create(CLUSTER)
    kinds = {
        kind: (
            len(authority.spec.active_keys.tls),
            len(authority.spec.active_keys.ssh),
            len(authority.spec.active_keys.jwt),
        )
        for kind, authority in made.items()
    }
    assert kinds == {
        AuthorityType.HOST: (1, 1, 0),
        AuthorityType.USER: (1, 1, 0),
        AuthorityType.DB: (1, 0, 0),
        AuthorityType.OPENSSH: (0, 1, 0),
        AuthorityType.JWT: (0, 0, 1),
        AuthorityType.SAML_IDP: (1, 0, 0),
    }
    assert all((authority.name, authority.type) == (CLUSTER, kind) for kind, authority in made.items())


async def test_a_second_start_finds_them(backend: SteeredBackend) -> None:
    made = await open_store(backend).load_or_create(CLUSTER)
    assert await open_store(backend).load_or_create(CLUSTER) == made


async def test_of_two_servers_that_start_at_once_both_have_the_same(backend: SteeredBackend) -> None:
    theirs = await open_store(backend).load_or_create(CLUSTER)
    contended = InterruptedBackend()
    for item in await backend.range(""):
        contended.write_before_next_commit(Put(item.key, item.value))
    ours = await open_store(contended).load_or_create(CLUSTER)
    assert {kind: found.spec for kind, found in ours.items()} == {kind: found.spec for kind, found in theirs.items()}


async def test_private_keys_are_sealed(backend: SteeredBackend) -> None:
    await open_store(backend).load_or_create(CLUSTER)
    assert all(b"PRIVATE KEY" not in item.value for item in await backend.range(""))
    with pytest.raises(SealError):
        await open_store(backend, b"\x01" * 32).load()


async def test_an_authority_is_replaced_at_its_revision_and_not_at_an_old_one(backend: SteeredBackend) -> None:
    store = open_store(backend)
    await store.load_or_create(CLUSTER)
    old = await store.get(AuthorityType.HOST)
    await store.replace(old)
    assert (await store.get(AuthorityType.HOST)).metadata.revision != old.metadata.revision
    with pytest.raises(CompareFailed):
        await store.replace(old)


async def test_an_authority_that_is_not_there_is_not_found(backend: SteeredBackend) -> None:
    with pytest.raises(NotFound, match="no host authority"):
        await open_store(backend).get(AuthorityType.HOST)
