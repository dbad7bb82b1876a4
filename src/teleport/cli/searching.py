"""Finding things in a list by their labels, and by words."""

import csv
from collections.abc import Iterable, Mapping

from teleport.errors import BadParameter

MAX_SEARCH_LENGTH = 4096


def parse_search(text: str) -> list[str]:
    """Read comma-separated words, or phrases in double quotes, in lower case.

    Raises:
        BadParameter: the text is too long.
    """
    if len(text) > MAX_SEARCH_LENGTH:
        raise BadParameter(f"the search is longer than {MAX_SEARCH_LENGTH} characters")
    words = next(csv.reader([text.replace("\n", " ")], skipinitialspace=True), [])
    return [word.strip().lower() for word in words if word.strip()]


def is_found(own: Mapping[str, str], places: Iterable[str], labels: Mapping[str, str], search: Iterable[str]) -> bool:
    """Tell whether something is among what was asked for.

    Args:
        own: its labels, in which words are looked for as well.
        places: its other texts in which words are looked for.
        labels: which it must have.
        search: words that must all occur.
    """
    text = "\n".join((*places, join_labels(own))).lower()
    return labels.items() <= own.items() and all(word in text for word in search)


def join_labels(labels: Mapping[str, str]) -> str:
    """Return labels as tables show them."""
    return ",".join(f"{key}={value}" for key, value in labels.items())
