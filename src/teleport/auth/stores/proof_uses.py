"""Proofs that were shown, and by whom: a proof belongs to the first key that used it.

Whoever steals a ServiceAccount token after its pod has joined shows it with another key, and is refused.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from teleport.auth.records import decode, encode
from teleport.backend.protocol import Backend, Condition, Put
from teleport.errors import JoinRefused
from teleport.join.method import ProofUse

PREFIX = "proof_uses/"


@dataclass(frozen=True, slots=True)
class ProofClaim:
    """What must hold when the use of a proof is committed, and what is remembered then."""

    conditions: tuple[Condition, ...]
    writes: tuple[Put, ...]
    reused_by_another_key: bool = False


def build_first_claim(use: ProofUse, *, key_fingerprint: str, remote_addr: str) -> ProofClaim:
    """Return the claim on a proof that nobody has shown before; where somebody has, its commit fails."""
    key = PREFIX + use.proof_id
    record = encode({"key_fingerprint": key_fingerprint, "remote_addr": remote_addr})
    return ProofClaim((Condition(key, None),), (Put(key, record, use.expires),))


async def claim_proof(
    backend: Backend,
    use: ProofUse,
    *,
    key_fingerprint: str,
    remote_addr: str,
    attributes: Mapping[str, Any] = MappingProxyType({}),
) -> ProofClaim:
    """Return the claim of a key on a proof.

    Args:
        backend: where claims are remembered.
        use: of the proof.
        key_fingerprint: of the key that shows it.
        remote_addr: from where it is shown.
        attributes: what the proof says, for the event of a refusal.

    Raises:
        JoinRefused: another key has shown it before, from elsewhere, or where that is refused altogether.
    """
    key = PREFIX + use.proof_id
    item = await backend.get(key)
    if item is None:
        return build_first_claim(use, key_fingerprint=key_fingerprint, remote_addr=remote_addr)
    first = decode(item.value)
    unchanged = (Condition(key, item.revision),)
    if first["key_fingerprint"] == key_fingerprint:
        return ProofClaim(unchanged, ())
    if use.same_address_may_reuse and first["remote_addr"] == remote_addr:
        return ProofClaim(unchanged, (), reused_by_another_key=True)
    detail = f"another key has shown this token before, from {first['remote_addr']}"
    raise JoinRefused("token_replayed", detail, attributes=attributes)
