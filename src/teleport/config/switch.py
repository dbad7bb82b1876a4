"""Switches: the words that a configuration may use for yes and for no."""

from teleport.errors import BadParameter

_YES = frozenset({"yes", "yeah", "y", "true", "1", "on"})
_NO = frozenset({"no", "nope", "n", "false", "0", "off"})


def parse_switch(text: str) -> bool:
    """Read a yes or a no, in any case.

    Raises:
        BadParameter: another word.
    """
    word = text.strip().lower()
    if word not in _YES | _NO:
        raise BadParameter("expected yes or no")
    return word in _YES
