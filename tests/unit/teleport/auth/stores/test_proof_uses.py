from datetime import timedelta

import pytest

from support.auth import InProcessAuth
from support.clock import FakeClock
from teleport.api.joined import generate_keys
from teleport.auth.stores.proof_uses import claim_proof
from teleport.backend.memory import MemoryBackend
from teleport.backend.protocol import Backend
from teleport.errors import CompareFailed, JoinRefused
from teleport.join.method import ProofUse, UnverifiedProof, VerifiedIdentity
from teleport.resources.token import Token

HERE, THERE = "192.0.2.7", "192.0.2.8"


def build_use(clock: FakeClock, *, same_address: bool = True) -> ProofUse:
    return ProofUse("proof", clock.now() + timedelta(minutes=10), same_address_may_reuse=same_address)


async def claim(backend: Backend, use: ProofUse, key: str, addr: str = HERE) -> bool:
    """Claim and commit; return whether another key had it before."""
    found = await claim_proof(backend, use, key_fingerprint=key, remote_addr=addr)
    await backend.commit(found.conditions, found.writes)
    return found.reused_by_another_key


async def test_a_proof_belongs_to_the_first_key_that_shows_it() -> None:
    clock = FakeClock()
    backend, use = MemoryBackend(clock=clock), build_use(clock)
    assert not await claim(backend, use, "first")
    assert not await claim(backend, use, "first", THERE)
    with pytest.raises(JoinRefused, match="token") as refusal:
        await claim(backend, use, "second", THERE)
    assert refusal.value.reason == "token_replayed"


async def test_another_key_from_the_same_address_is_let_in_and_noted() -> None:
    clock = FakeClock()
    backend, use = MemoryBackend(clock=clock), build_use(clock)
    await claim(backend, use, "first")
    assert await claim(backend, use, "second")


async def test_where_reuse_is_refused_the_address_does_not_matter() -> None:
    clock = FakeClock()
    backend, use = MemoryBackend(clock=clock), build_use(clock, same_address=False)
    await claim(backend, use, "first")
    with pytest.raises(JoinRefused):
        await claim(backend, use, "second")


async def test_of_two_keys_at_once_one_is_the_first() -> None:
    clock = FakeClock()
    backend, use = MemoryBackend(clock=clock), build_use(clock)
    claims = [await claim_proof(backend, use, key_fingerprint=key, remote_addr=HERE) for key in ("a", "b")]
    await backend.commit(claims[0].conditions, claims[0].writes)
    with pytest.raises(CompareFailed):
        await backend.commit(claims[1].conditions, claims[1].writes)


async def test_a_proof_is_forgotten_when_it_is_worth_nothing() -> None:
    clock = FakeClock()
    backend, use = MemoryBackend(clock=clock), build_use(clock)
    await claim(backend, use, "first")
    clock.advance(timedelta(minutes=10, seconds=1))
    assert await backend.range("") == []


class ProvingJudge:
    """Admits everybody, with one and the same proof."""

    def __init__(self, use: ProofUse) -> None:
        self._use = use

    def check_token(self, token: Token) -> None:
        """Accept it."""

    async def judge(self, token: Token, proof: UnverifiedProof) -> VerifiedIdentity:  # noqa: ARG002 - all are alike
        return VerifiedIdentity(use=self._use)


async def test_hostile_16_the_use_of_a_proof_is_part_of_the_commit_of_the_join() -> None:
    auth = await InProcessAuth.start()
    await auth.add_token()
    auth.joining._judges = {"token": ProvingJudge(build_use(auth.clock, same_address=False))}
    keys = generate_keys()
    await auth.join(keys=keys)
    await auth.join(keys=keys)
    with pytest.raises(JoinRefused):
        await auth.join()
    assert (await auth.last_event())["reason"] == "token_replayed"
