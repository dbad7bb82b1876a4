import asyncio

import pytest

from teleport.auth import passwords
from teleport.auth.passwords import PasswordKeeper
from teleport.errors import LimitExceeded

PASSWORD = "correct horse battery"


async def test_a_hash_says_its_parameters_and_verifies() -> None:
    keeper = PasswordKeeper()
    hashed = await keeper.hash(PASSWORD)
    assert hashed.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await keeper.verify(hashed, PASSWORD)


async def test_another_password_does_not_verify() -> None:
    keeper = PasswordKeeper(memory_kib=8)
    assert not await keeper.verify(await keeper.hash(PASSWORD), PASSWORD + "!")


async def test_without_a_hash_no_password_is_right_not_even_nobodys() -> None:
    assert not await PasswordKeeper(memory_kib=8).verify(None, "nobody's")


async def test_what_is_no_hash_verifies_nothing() -> None:
    assert not await PasswordKeeper(memory_kib=8).verify("no hash", PASSWORD)


async def test_letters_are_the_same_however_a_keyboard_composes_them() -> None:
    keeper = PasswordKeeper(memory_kib=8)
    assert await keeper.verify(await keeper.hash("passwo\u0301rd passw\u00f3rd"), "passw\u00f3rd passwo\u0301rd")


async def test_an_endless_password_is_cut_where_it_can_fit_no_hash() -> None:
    keeper = PasswordKeeper(memory_kib=8)
    hashed = await keeper.hash("a" * passwords.MAX_BYTES)
    assert await keeper.verify(hashed, "a" * passwords.MAX_BYTES)
    assert not await keeper.verify(hashed, "a" * 1024)


async def test_so_many_wait_and_no_more() -> None:
    keeper = PasswordKeeper(memory_kib=8)
    waiting = [asyncio.create_task(keeper.verify(None, PASSWORD)) for _ in range(passwords.MAX_WAITING)]
    await asyncio.sleep(0)
    with pytest.raises(LimitExceeded):
        await keeper.verify(None, PASSWORD)
    assert not any(await asyncio.gather(*waiting))
    assert not await keeper.verify(None, PASSWORD)
