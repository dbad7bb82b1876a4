"""Follow the objects of a namespace: list them, then watch, and list anew where the watch lost its place."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress
from datetime import timedelta
from typing import Protocol, TypeVar

from teleport.kube.errors import Gone
from teleport.kube.objects import Listing, ObjectChange, ObjectKind

T = TypeVar("T")

PAUSE = timedelta(milliseconds=500)
"""Between two watches; nothing is missed meanwhile, and an API server that ends each at once is not flooded."""


class FollowApi(Protocol):
    """Who is asked; see `kube/api.py`."""

    async def list_objects(self, kind: ObjectKind[T], namespace: str) -> Listing[T]:
        """Return all objects of a kind in a namespace."""
        ...

    def watch_objects(
        self, kind: ObjectKind[T], namespace: str, resource_version: str
    ) -> AsyncGenerator[ObjectChange[T], None]:
        """Yield what becomes of them, for a while."""
        ...


async def follow_objects(
    api: FollowApi, kind: ObjectKind[T], namespace: str
) -> AsyncGenerator[Listing[T] | ObjectChange[T], None]:
    """Yield all objects of a kind in a namespace, and then every change once and in order, for ever.

    Raises:
        NoAnswer: the API server does not answer; what happens meanwhile shows when it is followed anew.
    """
    while True:
        listing = await api.list_objects(kind, namespace)
        yield listing
        version = listing.resource_version
        with suppress(Gone):
            while True:
                async with aclosing(api.watch_objects(kind, namespace, version)) as changes:
                    async for change in changes:
                        version = change.resource_version
                        yield change
                await asyncio.sleep(PAUSE.total_seconds())
