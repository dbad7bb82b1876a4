"""The order of keys: which stretch of it a prefix and a page cover. Keys are ordered by code point, as UTF-8 is."""

_LAST = "\U0010ffff"
_SURROGATES = range(0xD800, 0xE000)


def find_stretch(prefix: str, after: str, *, newest_first: bool) -> tuple[str, str | None]:
    """Return the stretch of keys that a range reads: its first key, and the one before which it ends.

    Args:
        prefix: what the keys start with.
        after: the last key of the page before, or nothing for the first page.
        newest_first: pages come in reversed order.

    Returns:
        The lower bound, which belongs to the stretch, and the upper one, which does not; None is the end of all keys.
    """
    lower, upper = prefix, _find_end(prefix)
    if after and newest_first:
        upper = after if upper is None else min(upper, after)
    elif after:
        lower = max(lower, after + "\0")  # no key contains it: this is the very next place
    return lower, upper


def _find_end(prefix: str) -> str | None:
    """Return the smallest text that is beyond everything that starts with the prefix."""
    stem = prefix.rstrip(_LAST)
    if not stem:
        return None
    following = ord(stem[-1]) + 1
    if following in _SURROGATES:
        following = _SURROGATES.stop
    return stem[:-1] + chr(following)
