"""What becomes of the tokens: who joined and who was refused, asked of auth bit by bit, so that it costs little."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from teleport.api.messages import TokenUse
from teleport.errors import TeleportError
from teleport_operator.declaration import Head
from teleport_operator.patience import find_asked_wait
from teleport_operator.status import Uses, count_uses, find_news
from teleport_operator.tokens import Tokens

LONG_AGO = datetime.min.replace(tzinfo=UTC)
SHORTEST_ROUND = timedelta(seconds=15)
MAX_NEWS = 2000
PAUSE = timedelta(milliseconds=50)
"""Between two questions: however many objects there are, auth is asked twenty times a second at most."""

logger = logging.getLogger(__name__)


class UsesPoll:
    """The ledgers of the tokens.

    Args:
        tokens: the cluster's.
    """

    def __init__(self, *, tokens: Tokens) -> None:
        self._tokens = tokens
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
        """Return what is known of an object's token now; what `known` has counted already is let go."""
        news = find_news(known, self._news.get(head.uid, ()), head.created)
        self._news[head.uid] = news
        return count_uses(known, news)

    async def run(self, on_news: Callable[[str], None]) -> None:
        """Go through the tokens, for ever.

        Args:
            on_news: told the uid of an object whose token was used.
        """
        while True:
            for uid, name in list(self._names.items()):
                if await self._ask(uid, name):
                    on_news(uid)
                await asyncio.sleep(PAUSE.total_seconds())
            await asyncio.sleep(SHORTEST_ROUND.total_seconds())

    async def _ask(self, uid: str, name: str) -> bool:
        """Ask for one ledger, and tell whether there is something new in it."""
        since = self._seen.get(uid, LONG_AGO)
        try:
            uses = await self._tokens.list_uses(name, since)
        except TeleportError as error:
            logger.debug("a ledger could not be read: %s", error.message)
            await asyncio.sleep(find_asked_wait(error).total_seconds())
            return False
        if not uses or uid not in self._names:
            return False
        self._seen[uid] = max(use.time for use in uses)
        self._news[uid] = (*uses, *self._news.get(uid, ()))[:MAX_NEWS]
        return True
