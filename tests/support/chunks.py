"""A stream of bytes as networks deliver it: in pieces that mean nothing."""

from itertools import pairwise

from hypothesis import strategies as st

PLACES = st.lists(st.integers(min_value=0), max_size=12)


def cut(stream: bytes, places: list[int]) -> list[bytes]:
    """Cut a stream at the places, which may be any numbers."""
    edges = [0, *sorted(place % (len(stream) + 1) for place in places), len(stream)]
    return [stream[start:end] for start, end in pairwise(edges)]
