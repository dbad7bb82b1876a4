"""Auth's tokens for an operator, in memory, with hands to change them as somebody else and to tell of changes."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from teleport.api import messages as m
from teleport.api import operations as ops
from teleport.errors import AlreadyExists, CompareFailed, NotFound, TeleportError
from teleport.resources.codec import parse_resource, to_plain
from teleport.resources.token import Token


class FakeTokenApi:
    """Keeps tokens in memory, masks names, and lets a test do something between two pages of a list."""

    def __init__(self) -> None:
        self.tokens: dict[str, Token] = {}
        self.asked: list[str] = []
        self.failure: TeleportError | None = None
        """What every call ends with."""
        self.uses: list[m.TokenUse] = []
        self.changes: m.TokenChangesResponse | None = None
        """What is told to who waits; they are not told where it is None."""
        self.while_waiting: Callable[[], Awaitable[None]] | None = None
        self.between_pages: Callable[[], Awaitable[None]] | None = None
        self._revision = 0

    def put(self, token: Token) -> Token:
        """Store a token as somebody else might."""
        self._revision += 1
        self.tokens[token.name] = token.with_metadata(revision=str(self._revision))
        return self.tokens[token.name]

    async def call(self, operation: ops.Operation[Any, Any], request: Any) -> Any:
        self.asked.append(operation.name)
        await asyncio.sleep(0)
        if self.failure is not None:
            raise self.failure
        match operation:
            case ops.TOKEN_CHANGES:
                return await self._tell(request)
            case ops.RESOURCE_LIST:
                return await self._list(request)
            case ops.RESOURCE_GET:
                return m.ResourceResponse(resource=to_plain(self._find(request.name)))
            case ops.RESOURCE_DELETE:
                self._compare(request.name, request.revision)
                return m.DeleteResponse(name=self.tokens.pop(request.name).safe_name)
            case ops.TOKEN_USES:
                return m.TokenUsesResponse(name=request.name, uses=tuple(self.uses[: request.limit]))
        token = parse_resource(request.resource)
        assert isinstance(token, Token)
        if operation is ops.RESOURCE_CREATE and token.name in self.tokens:
            raise AlreadyExists("it is there")
        if operation is ops.RESOURCE_UPDATE:
            self._compare(token.name, token.metadata.revision)
        return m.ResourceResponse(resource=to_plain(self.put(token)))

    async def _tell(self, request: m.TokenChangesRequest) -> m.TokenChangesResponse:
        if self.changes is None:
            raise NotFound("there is no such page")
        if not request.mark:
            return m.TokenChangesResponse(mark="first", is_complete=False)
        if self.while_waiting is not None:
            await self.while_waiting()
        return self.changes

    async def _list(self, request: m.ListRequest) -> m.ListResponse:
        resources = tuple(
            to_plain(token if request.with_secrets else token.with_metadata(name=token.safe_name))
            for token in self.tokens.values()
        )
        if request.page_token == "" and self.between_pages is not None:
            await self.between_pages()
            return m.ListResponse(resources=resources, next_page_token="more")
        return m.ListResponse(resources=() if request.page_token else resources)

    def _find(self, name: str) -> Token:
        if name not in self.tokens:
            raise NotFound("it is not there")
        return self.tokens[name]

    def _compare(self, name: str, revision: str) -> None:
        if self._find(name).metadata.revision != revision:
            raise CompareFailed("it has moved on")
