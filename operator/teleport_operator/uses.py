"""What becomes of the tokens: who joined and who was refused, asked of auth bit by bit, so that it costs little."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from teleport.api.messages import TokenUse
from teleport.errors import TeleportError
from teleport_operator.declaration import Head
from teleport_operator.status import Uses, count_uses
from teleport_operator.tokens import Tokens

LONG_AGO = datetime.min.replace(tzinfo=UTC)
SHORTEST_ROUND = timedelta(seconds=15)
PAUSE = timedelta(milliseconds=50)
"""Between two questions: however many objects there are, auth is asked twenty times a second at most."""

logger = logging.getLogger(__name__)


class UsesPoll:
    """The ledgers of the tokens.

    Args:
        tokens: the cluster's.
        on_news: told the uid of an object whose token was used.
    """

    def __init__(self, *, tokens: Tokens, on_news: Callable[[str], None]) -> None:
        self._tokens = tokens
        self._on_news = on_news
        self._names: dict[str, str] = {}
        self._seen: dict[str, datetime] = {}
        self._news: dict[str, Sequence[TokenUse]] = {}

    def follow(self, uid: str, name: str) -> None:
        """Ask for the ledger of this token from now on; without a name what is known stays as it is."""
        if name:
            self._names[uid] = name

    def forget(self, uid: str) -> None:
        """Ask no more: the object is gone."""
        for known in (self._names, self._seen, self._news):
            known.pop(uid, None)

    def count(self, head: Head, known: Uses) -> Uses:
        """Return what is known of an object's token now."""
        return count_uses(known, self._news.get(head.uid, ()), head.created)

    async def run(self) -> None:
        """Go through the tokens, for ever."""
        while True:
            for uid, name in list(self._names.items()):
                await self._ask(uid, name)
                await asyncio.sleep(PAUSE.total_seconds())
            await asyncio.sleep(SHORTEST_ROUND.total_seconds())

    async def _ask(self, uid: str, name: str) -> None:
        since = self._seen.get(uid, LONG_AGO)
        try:
            uses = await self._tokens.list_uses(name, since)
        except TeleportError as error:
            logger.debug("a ledger could not be read: %s", error.message)
            return
        if not uses or uid not in self._names:
            return
        self._seen[uid] = max(use.time for use in uses)
        self._news[uid] = uses
        self._on_news(uid)
