"""aiohttp without what nobody here uses: every agent and every `tctl` would pay for it in memory and in time.

While it is imported, aiohttp loads all of the system's root certificates into a context that is used only by requests
without a context of their own, and there are none of those here (1.6 MiB and 30 ms); and frozenlist loads the C++
runtime to speed up lists that are looked at once for each session (0.9 MiB).
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager

_LEAN = {"SSL_CERT_FILE": os.devnull, "SSL_CERT_DIR": os.devnull, "FROZENLIST_NO_EXTENSIONS": "1"}


@contextmanager
def _environment(changes: dict[str, str]) -> Iterator[None]:
    before = {name: os.environ.get(name) for name in changes}
    os.environ.update(changes)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


with _environment(_LEAN):
    import aiohttp

__all__ = ["aiohttp"]
