"""Join tokens in the store: sealed, and filed under a keyed hash of their name.

Whoever steals the database learns neither a token's name nor its content. A token that is over stays for a while and
is shown to nobody: who spent it may have lost the answer and asks again, and the audit log can tell an expired token
from a guess.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from teleport.auth.records import decode, encode
from teleport.backend.protocol import Backend, Condition, Delete, Event, Item, Put, Write
from teleport.clock import Clock
from teleport.errors import AlreadyExists, CompareFailed, NotFound, Unavailable
from teleport.pki.seal import Sealer
from teleport.resources.codec import parse_resource
from teleport.resources.token import Token, is_expired, safe_name

PREFIX = "tokens/"
KIND = "token"
TOMBSTONE_LIFE = timedelta(minutes=2)
EXPIRED_LIFE = timedelta(days=1)
MAX_CACHED = 10_000
MAX_ATTEMPTS = 8
"""How often a change starts over because somebody used the token meanwhile."""

_LATEST = datetime.max.replace(tzinfo=UTC) - EXPIRED_LIFE


@dataclass(frozen=True, slots=True)
class Spent:
    """Who used up a token, and what they were given for it."""

    key_fingerprint: str
    answer: dict[str, Any]


@dataclass(frozen=True, slots=True)
class StoredToken:
    """A token, and where and in which state it is stored; `revision` is None for a static one."""

    token: Token
    lookup_id: str
    revision: int | None
    spent: Spent | None = None

    @property
    def unchanged(self) -> tuple[Condition, ...]:
        """Return what must hold when a use of this token is committed."""
        return () if self.revision is None else (Condition(PREFIX + self.lookup_id, self.revision),)


class TokenStore:
    """The tokens of the cluster.

    Args:
        backend: where they are.
        sealer: seals the records and computes the keyed hashes.
        clock: tells which ones are over.
    """

    def __init__(self, *, backend: Backend, sealer: Sealer, clock: Clock) -> None:
        self._backend = backend
        self._sealer = sealer
        self._clock = clock
        self._opened: dict[str, tuple[int, StoredToken]] = {}

    def lookup_id(self, name: str) -> str:
        """Return what a token of this name is filed under."""
        return self._sealer.lookup_id(name)

    async def find(self, name: str) -> StoredToken | None:
        """Return the token, even if it is over, or None."""
        item = await self._backend.get(PREFIX + self.lookup_id(name))
        return None if item is None else self._open(item)

    async def get(self, name: str) -> Token:
        """Return a token that is not over.

        Raises:
            NotFound: there is none of this name.
        """
        return (await self._live(name)).token

    async def list_page(self, *, after: str, limit: int) -> tuple[list[Token], str]:
        """Return a page of tokens that are not over, and the mark of the next page or an empty one."""
        items = await self._backend.range(PREFIX, after=after, limit=limit)
        live = [stored.token for stored in map(self._open, items) if not self._is_over(stored)]
        return live, items[-1].key if len(items) == limit else ""

    def watch(self) -> AbstractAsyncContextManager[AsyncIterator[Event]]:
        """Watch changes; `read_event` says what one is about."""
        return self._backend.watch(PREFIX)

    def read_event(self, event: Event) -> tuple[Token | None, Token | None]:
        """Return a token before and after a change; None where there was or is none that is not over."""
        before, after = (None if item is None else self._open(item) for item in (event.previous, event.item))
        return self._live_or_none(before), self._live_or_none(after)

    def _live_or_none(self, stored: StoredToken | None) -> Token | None:
        return None if stored is None or self._is_over(stored) else stored.token

    async def create(self, token: Token, writes: Sequence[Write] = ()) -> Token:
        """Store a token whose name is free; one that is over does not keep the name.

        Raises:
            AlreadyExists: the name is taken.
        """
        found = await self.find(token.name)
        if found is not None and not self._is_over(found):
            raise AlreadyExists(f"token {safe_name(token.name)!r} exists already; choose another name or use --force")
        try:
            return await self._begin(token, found, writes)
        except CompareFailed as error:
            raise AlreadyExists(f"token {safe_name(token.name)!r} exists already") from error

    async def upsert(self, token: Token, writes: Sequence[Write] = ()) -> Token:
        """Store a token, whatever was there; what was counted of the uses of a live one stays counted."""
        for _ in range(MAX_ATTEMPTS):
            found = await self.find(token.name)
            with suppress(CompareFailed):
                if found is None or self._is_over(found):
                    return await self._begin(token, found, writes)
                return await self._replace(token, found, writes)
        raise Unavailable("the token keeps changing; try again")

    async def update(self, token: Token, writes: Sequence[Write] = ()) -> Token:
        """Replace a token that is still at the revision which the new one names.

        Raises:
            NotFound: there is none of this name.
            CompareFailed: it has moved on.
        """
        for _ in range(MAX_ATTEMPTS):
            live = await self._live(token.name)
            if str(live.revision) != token.metadata.revision:
                raise CompareFailed("the token changed since it was read; read it again and repeat the change")
            with suppress(CompareFailed):
                return await self._replace(token, live, writes)
        raise Unavailable("the token keeps changing; try again")

    async def delete(self, name: str, revision: str = "", writes: Sequence[Write] = ()) -> Token:
        """Remove a token and what was counted of its uses; return it.

        Raises:
            NotFound: there is none of this name.
            CompareFailed: a revision was given and it has moved on.
        """
        live = await self._live(name)
        if revision and str(live.revision) != revision:
            raise CompareFailed("the token changed since it was read; read it again and repeat the deletion")
        removals = [Delete(PREFIX + live.lookup_id), Delete(usage_key(live.lookup_id))]
        await self._backend.commit(live.unchanged, [*removals, *writes])
        return live.token

    def build_tombstone(self, stored: StoredToken, spent: Spent, now: datetime) -> Put:
        """Return the write that marks the token as used up."""
        return self._build_put(stored.token, now + TOMBSTONE_LIFE, spent)

    async def _live(self, name: str) -> StoredToken:
        found = await self.find(name)
        if found is None or self._is_over(found):
            raise NotFound(f"token {safe_name(name)!r} not found")
        return found

    def _is_over(self, stored: StoredToken) -> bool:
        return stored.spent is not None or is_expired(stored.token, self._clock.now())

    async def _begin(self, token: Token, found: StoredToken | None, writes: Sequence[Write]) -> Token:
        """Store a token where there is none, or one that is over: its uses are counted from nought."""
        lookup_id = self.lookup_id(token.name)
        condition = Condition(PREFIX + lookup_id, found.revision if found else None)
        return await self._put(token, [condition], [Delete(usage_key(lookup_id)), *writes])

    async def _replace(self, token: Token, live: StoredToken, writes: Sequence[Write]) -> Token:
        """Store a token in the place of a live one: what was counted of its uses lives as long as the new one."""
        key = usage_key(live.lookup_id)
        counted = await self._backend.get(key)
        condition = Condition(key, counted.revision if counted else None)
        kept = [Put(key, counted.value, keep_until(token.metadata.expires))] if counted else []
        return await self._put(token, [*live.unchanged, condition], [*kept, *writes])

    async def _put(self, token: Token, conditions: Sequence[Condition], writes: Sequence[Write]) -> Token:
        put = self._build_put(token, keep_until(token.metadata.expires))
        revision = await self._backend.commit(conditions, [put, *writes])
        return token.with_metadata(revision=str(revision))

    def _build_put(self, token: Token, expires: datetime | None, spent: Spent | None = None) -> Put:
        key = PREFIX + self.lookup_id(token.name)
        record = {"token": token.with_metadata(revision="").model_dump(mode="json", exclude_none=True)}
        if spent is not None:
            record["spent"] = {"key_fingerprint": spent.key_fingerprint, "answer": spent.answer}
        return Put(key, self._sealer.seal(encode(record), key=key, kind=KIND), expires)

    def _open(self, item: Item) -> StoredToken:
        cached = self._opened.get(item.key)
        if cached is not None and cached[0] == item.revision:
            return cached[1]
        record = decode(self._sealer.open(item.value, key=item.key, kind=KIND))
        token = parse_resource(record["token"])
        if not isinstance(token, Token):
            raise TypeError(f"{item.key} holds a {token.kind}")
        stored = StoredToken(
            token=token.with_metadata(revision=str(item.revision)),
            lookup_id=item.key.removeprefix(PREFIX),
            revision=item.revision,
            spent=Spent(**record["spent"]) if "spent" in record else None,
        )
        if len(self._opened) >= MAX_CACHED:
            self._opened.clear()
        self._opened[item.key] = (item.revision, stored)
        return stored


def keep_until(expires: datetime | None) -> datetime | None:
    """Return until when the records of a token are kept that expires then."""
    return None if expires is None else min(expires, _LATEST) + EXPIRED_LIFE


def usage_key(lookup_id: str) -> str:
    """Return the key of the record that counts a limited token's uses."""
    return f"token_usage/{lookup_id}"
