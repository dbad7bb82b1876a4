"""What the API server said of tokens a moment ago: few, short-lived, and filed under a hash."""

import hashlib
from collections import OrderedDict
from collections.abc import Sequence
from datetime import timedelta

from teleport.clock import Clock
from teleport.kube.token_review import ReviewStatus

LIFE = timedelta(seconds=10)
"""Of a yes; the API server's own cache, whose yes may be as old already when it comes, has the same."""
REFUSAL_LIFE = timedelta(seconds=1)
"""Of a no: what was refused may be allowed soon, as when its ServiceAccount was just made."""
MAX_ANSWERS = 4096


class ReviewCache:
    """Answers of the last seconds.

    Args:
        clock: for their age.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._answers: OrderedDict[bytes, tuple[float, ReviewStatus]] = OrderedDict()

    def __len__(self) -> int:
        return len(self._answers)

    def find(self, key: bytes) -> ReviewStatus | None:
        """Return the answer, unless it is too old or there is none."""
        known = self._answers.get(key)
        if known is None:
            return None
        answered_at, status = known
        life = LIFE if status.authenticated else REFUSAL_LIFE
        return status if self._clock.monotonic() - answered_at <= life.total_seconds() else None

    def store(self, key: bytes, status: ReviewStatus) -> None:
        """Keep an answer, and let go of those that are too old, or too many."""
        now = self._clock.monotonic()
        self._answers.pop(key, None)
        self._answers[key] = (now, status)
        while len(self._answers) > MAX_ANSWERS or self._is_too_old(now):
            self._answers.popitem(last=False)

    def _is_too_old(self, now: float) -> bool:
        oldest, _ = next(iter(self._answers.values()))
        return now - oldest > LIFE.total_seconds()


def build_key(token: str, audiences: Sequence[str]) -> bytes:
    """Return under what an answer is filed; the token itself is kept nowhere."""
    digest = hashlib.sha256()
    for part in (token, *audiences):
        raw = part.encode()
        digest.update(len(raw).to_bytes(8) + raw)
    return digest.digest()
