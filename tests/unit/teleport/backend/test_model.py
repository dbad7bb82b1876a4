"""Every backend against a dictionary: hypothesis invents the history, the dictionary knows what must be seen."""

import asyncio
import tempfile
from collections.abc import Coroutine
from contextlib import ExitStack
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from support.backend import changes, take
from support.clock import FakeClock
from teleport.backend.catalog import BACKENDS, open_backend
from teleport.backend.protocol import Backend, Condition, Delete, Item, Put, Write
from teleport.errors import CompareFailed

T = TypeVar("T")
KEYS = st.sampled_from(["a", "a/", "a/b", "a/ÿ", "a/\U0010ffff", "a0", "b"])
PREFIXES = st.sampled_from(["", "a", "a/", "a/\U0010ffff", "c"])
LIVES = st.none() | st.integers(-1, 5).map(lambda seconds: timedelta(seconds=seconds))
WRITES = st.one_of(st.tuples(st.just("put"), st.binary(max_size=3), LIVES), st.just(("delete", b"", None)))


class History(RuleBasedStateMachine):
    name = ""

    @initialize()
    def open(self) -> None:
        self.stack = ExitStack()
        self.runner = self.stack.enter_context(asyncio.Runner())
        self.path = Path(self.stack.enter_context(tempfile.TemporaryDirectory())) / "store"
        self.clock = FakeClock()
        self.model: dict[str, Item] = {}
        self.revision = 0
        self.backend = self.opened()

    def opened(self) -> Backend:
        return self.run(open_backend(self.name, path=self.path, clock=self.clock, sweep_period=timedelta(hours=1)))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def alive(self, key: str) -> Item | None:
        item = self.model.get(key)
        return None if item is None or (item.expires and item.expires < self.clock.now()) else item

    @rule(seconds=st.integers(0, 3), microseconds=st.integers(0, 1))
    def wait(self, seconds: int, microseconds: int) -> None:
        self.clock.advance(timedelta(seconds=seconds, microseconds=microseconds))

    @rule(
        writes=st.dictionaries(KEYS, WRITES, max_size=4),
        known=st.sets(KEYS, max_size=2),
        wrong=st.none() | st.tuples(KEYS, st.integers(-1, 1)),
    )
    def commit(
        self,
        writes: dict[str, tuple[str, bytes, timedelta | None]],
        known: set[str],
        wrong: tuple[str, int] | None,
    ) -> None:
        conditions = [Condition(key, item.revision if (item := self.alive(key)) else None) for key in sorted(known)]
        if wrong is not None:
            conditions.append(Condition(wrong[0], self.revision + wrong[1]))
        asked = [self.write(key, *write) for key, write in writes.items()]
        holds = all((item.revision if (item := self.alive(c.key)) else None) == c.revision for c in conditions)
        if holds:
            self.do(conditions, asked)
        else:
            with pytest.raises(CompareFailed):
                self.run(self.backend.commit(conditions, asked))

    def write(self, key: str, verb: str, value: bytes, life: timedelta | None) -> Write:
        expires: datetime | None = None if life is None else self.clock.now() + life
        return Put(key, value, expires) if verb == "put" else Delete(key)

    def do(self, conditions: list[Condition], writes: list[Write]) -> None:
        expected = []
        for write in writes:
            before = self.alive(write.key)
            after = write.value if isinstance(write, Put) else None
            if before is not None or after is not None:
                expected.append((write.key, after, before.value if before else None))

        async def commit_and_watch() -> tuple[int, list[tuple[str, bytes | None, bytes | None]]]:
            async with self.backend.watch("") as events:
                revision = await self.backend.commit(conditions, writes)
                over = sum(write.key in self.model and self.alive(write.key) is None for write in writes)
                return revision, changes(await take(events, over + len(expected)))[over:]

        revision, seen = self.run(commit_and_watch())
        assert seen == expected
        assert revision > self.revision
        self.revision = revision
        for write in writes:
            self.model.pop(write.key, None)
            if isinstance(write, Put):
                self.model[write.key] = Item(write.key, write.value, revision, write.expires)

    @precondition(lambda self: self.name == "sqlite")
    @rule()
    def restart(self) -> None:
        self.run(self.backend.close())
        self.backend = self.opened()

    @rule(prefix=PREFIXES, after=st.just("") | KEYS, limit=st.integers(1, 8), newest_first=st.booleans())
    def read_range(self, prefix: str, after: str, limit: int, *, newest_first: bool) -> None:
        expected = [item for key in sorted(self.model, reverse=newest_first) if (item := self.alive(key))]
        expected = [item for item in expected if item.key.startswith(prefix)]
        if after:
            expected = [item for item in expected if (item.key < after if newest_first else item.key > after)]
        found = self.run(self.backend.range(prefix, after=after, limit=limit, newest_first=newest_first))
        assert found == expected[:limit]

    @invariant()
    def every_key_reads_as_the_model_says(self) -> None:
        for key in {"a", "a/b", "b", *self.model}:
            assert self.run(self.backend.get(key)) == self.alive(key)

    def teardown(self) -> None:
        if hasattr(self, "stack"):
            self.run(self.backend.close())
            self.stack.close()


@pytest.mark.parametrize("name", sorted(BACKENDS))
def test_a_backend_behaves_like_a_dictionary_with_expiry(name: str) -> None:
    history = type("History", (History,), {"name": name})
    examples = settings(
        max_examples=8 if name == "sqlite" else 60,
        stateful_step_count=20,
        deadline=None,
        suppress_health_check=list(HealthCheck),
        database=None,
    )
    run_state_machine_as_test(history, settings=examples)
