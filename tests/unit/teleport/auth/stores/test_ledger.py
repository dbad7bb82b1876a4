from datetime import datetime, timedelta

from support.backend import SteeredBackend
from support.clock import START, FakeClock
from teleport.api.messages import TokenUse
from teleport.auth.records import encode
from teleport.auth.stores.ledger import Ledger
from teleport.backend.protocol import Put

RETENTION = timedelta(days=90)


def build_use(time: datetime, outcome: str = "success") -> TokenUse:
    return TokenUse(
        time=time, host_id="host", remote_addr="192.0.2.7", role="Node", outcome=outcome, subject="system:somebody"
    )


class Written:
    """A ledger with entries, a second apart."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.backend = SteeredBackend(clock=self.clock)
        self.ledger = Ledger(backend=self.backend, retention=RETENTION)

    async def write(self, lookup_id: str, *outcomes: str) -> None:
        for number, outcome in enumerate(outcomes):
            time = START + timedelta(seconds=number)
            await self.backend.commit([], [self.ledger.build_entry(lookup_id, build_use(time, outcome), time)])


async def test_the_newest_come_first_and_no_more_than_asked_for() -> None:
    written = Written()
    await written.write("a", "first", "second", "third")
    assert [use.outcome for use in await written.ledger.list_newest("a", 2)] == ["third", "second"]
    assert [use.outcome for use in await written.ledger.list_newest("a", 3)] == ["third", "second", "first"]


async def test_an_entry_is_read_back_as_it_was_written() -> None:
    written = Written()
    await written.write("a", "success")
    assert await written.ledger.list_newest("a", 10) == [build_use(START)]


async def test_an_entry_of_an_older_version_is_read_without_the_subject_it_lacks() -> None:
    written = Written()
    record = encode([START.timestamp(), "host", "192.0.2.7", "Node", "success"])
    await written.backend.commit([], [Put("token_uses/a/0", record, None)])
    assert await written.ledger.list_newest("a", 10) == [build_use(START).model_copy(update={"subject": ""})]


async def test_each_token_has_its_own() -> None:
    written = Written()
    await written.write("a", "of a")
    await written.write("ab", "of ab")
    assert [use.outcome for use in await written.ledger.list_newest("a", 10)] == ["of a"]


async def test_entries_of_the_same_instant_are_all_kept() -> None:
    written = Written()
    for outcome in ("one", "two"):
        await written.write("a", outcome)
    assert {use.outcome for use in await written.ledger.list_newest("a", 10)} == {"one", "two"}


async def test_entries_go_after_the_retention() -> None:
    written = Written()
    await written.write("a", "success")
    written.clock.advance(RETENTION)
    assert len(await written.ledger.list_newest("a", 10)) == 1
    written.clock.advance(timedelta(microseconds=1))
    assert await written.ledger.list_newest("a", 10) == []
