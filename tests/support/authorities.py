"""Changes the authorities of an auth server that is stopped, as a rotation would."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from support.cluster import AuthServer
from teleport.auth.data_dir import load_seal_key
from teleport.auth.stores.authorities import AuthorityStore
from teleport.backend.catalog import open_backend
from teleport.clock import SystemClock
from teleport.pki.authority import create_ssh_authority, create_tls_authority
from teleport.pki.seal import Sealer
from teleport.resources.authority import AuthoritySpec, AuthorityType, CertAuthority, KeySet

YEAR = timedelta(days=365)


def add_trusted_keys(auth: AuthServer, kind: AuthorityType = AuthorityType.HOST) -> None:
    """Trust a second generation of keys beside the one that signs."""
    now = datetime.now(UTC)
    tls = create_tls_authority(auth.cluster_name, not_before=now, not_after=now + YEAR)
    keys = KeySet(tls=(tls,), ssh=(create_ssh_authority(),))
    _change(auth, kind, lambda spec: spec.model_copy(update={"additional_trusted_keys": keys}))


def swap_keys(auth: AuthServer, kind: AuthorityType = AuthorityType.HOST) -> None:
    """Sign with the keys that were only trusted, and only trust those that signed."""
    _change(
        auth,
        kind,
        lambda spec: spec.model_copy(
            update={"active_keys": spec.additional_trusted_keys, "additional_trusted_keys": spec.active_keys}
        ),
    )


def drop_trusted_keys(auth: AuthServer, kind: AuthorityType = AuthorityType.HOST) -> None:
    """Trust only the keys that sign."""
    _change(auth, kind, lambda spec: spec.model_copy(update={"additional_trusted_keys": KeySet()}))


def replace_keys(auth: AuthServer, kind: AuthorityType = AuthorityType.HOST) -> None:
    """Sign with new keys, and trust no others."""
    add_trusted_keys(auth, kind)
    swap_keys(auth, kind)
    drop_trusted_keys(auth, kind)


def _change(auth: AuthServer, kind: AuthorityType, change: Callable[[AuthoritySpec], AuthoritySpec]) -> None:
    async def work() -> None:
        clock = SystemClock()
        backend = await open_backend("sqlite", path=auth.store.parent, clock=clock)
        try:
            sealer = Sealer(await load_seal_key(auth.data_dir / "seal.key", backend))
            store = AuthorityStore(backend=backend, sealer=sealer, clock=clock)
            authority: CertAuthority = await store.get(kind)
            await store.replace(authority.model_copy(update={"spec": change(authority.spec)}))
        finally:
            await backend.close()

    asyncio.run(work())
