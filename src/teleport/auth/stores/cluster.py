"""What is decided once for a cluster: its name, and the seal key that its secrets are under."""

import hmac

from teleport.auth.records import decode, encode
from teleport.backend.protocol import Backend, Condition, Put
from teleport.errors import BadParameter, CompareFailed, SealError
from teleport.pki.seal import Sealer

NAME_KEY = "cluster/name"
SEAL_KEY = "cluster/seal"
SEAL_KIND = "seal_check"
_CANARY = b"this store's secrets are under this seal key"


async def is_new(backend: Backend) -> bool:
    """Tell whether nothing was ever stored under a seal key here."""
    return await backend.get(SEAL_KEY) is None


async def check_seal(backend: Backend, sealer: Sealer) -> None:
    """Hold the seal key against the one that the store's secrets are under; the first one is remembered.

    Raises:
        SealError: another key is needed; nothing was changed.
    """
    item = await backend.get(SEAL_KEY)
    if item is None:
        sealed = sealer.seal(_CANARY, key=SEAL_KEY, kind=SEAL_KIND)
        try:
            await backend.commit([Condition(SEAL_KEY, None)], [Put(SEAL_KEY, sealed)])
        except CompareFailed:
            await check_seal(backend, sealer)
        return
    try:
        found = sealer.open(item.value, key=SEAL_KEY, kind=SEAL_KIND)
    except SealError as error:
        raise SealError(
            f"the seal key {sealer.key_id} is not the one that this store's secrets are under; nothing was changed. "
            "Put the right key file back (auth_service.seal.key_file, or seal.key in the data directory)"
        ) from error
    if not hmac.compare_digest(found, _CANARY):
        raise SealError("the store's seal check holds something unknown; is this store a newer version's?")


async def decide_cluster_name(backend: Backend, wanted: str | None, fallback: str) -> str:
    """Return the cluster's name; the first auth server to start decides it, and it never changes.

    Raises:
        BadParameter: the configuration wants another name than the cluster has.
    """
    item = await backend.get(NAME_KEY)
    if item is None:
        try:
            await backend.commit([Condition(NAME_KEY, None)], [Put(NAME_KEY, encode(wanted or fallback))])
        except CompareFailed:
            return await decide_cluster_name(backend, wanted, fallback)
        return wanted or fallback
    name = str(decode(item.value))
    if wanted is not None and wanted != name:
        raise BadParameter(
            f"this cluster is called {name!r} and cannot become {wanted!r}: the name stands in every certificate. "
            "Correct auth_service.cluster_name, or start with an empty data directory"
        )
    return name
