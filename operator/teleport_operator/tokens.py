"""The tokens that this operator keeps in the cluster: asked for, changed one by one, and known by their marks.

Auth tells what others change, and our own changes are noted; the whole list is read now and then all the same.
Names of secret tokens are masked in it, and are asked for only where nobody else knows them any more. Thousands are
known and few are looked at at a time, so they are kept as JSON.
"""

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Protocol

import orjson

from teleport.api.messages import (
    DeleteRequest,
    GetRequest,
    ListRequest,
    ResourceRequest,
    TokenChangesRequest,
    TokenChangesResponse,
    TokenUse,
    TokenUsesRequest,
)
from teleport.api.operations import (
    RESOURCE_CREATE,
    RESOURCE_DELETE,
    RESOURCE_GET,
    RESOURCE_LIST,
    RESOURCE_UPDATE,
    TOKEN_CHANGES,
    TOKEN_USES,
    Operation,
    RequestT,
    ResponseT,
)
from teleport.errors import NotFound, TeleportError, Unavailable
from teleport.resources.codec import parse_resource, to_plain
from teleport.resources.token import Token
from teleport_operator.marks import OPERATOR, Marks, read_labels, read_marks
from teleport_operator.patience import NOBODY_ASKED

KIND = "token"
PAGE_SIZE = 500
FEW_USES = 20
MAX_USES = 1000
LONGEST_WAIT = timedelta(seconds=25)
"""For a change; a request may take 30 seconds."""


class Caller(Protocol):
    """Whoever carries operations to auth; `teleport.api.client.Client` does."""

    async def call(self, operation: Operation[RequestT, ResponseT], request: RequestT) -> ResponseT:
        """Ask for one operation."""
        ...


@dataclass(frozen=True, slots=True)
class _Kept:
    """A token as it is known; another revision makes it another one."""

    revision: str
    packed: bytes = field(repr=False, compare=False)

    def unpack(self) -> Token:
        return _parse(orjson.loads(self.packed))


class Tokens:
    """The cluster's tokens, as far as they are this operator's.

    Args:
        caller: to auth.
        operator: the id by which our tokens are known.
    """

    def __init__(self, caller: Caller, *, operator: str) -> None:
        self._caller = caller
        self._operator = operator
        self._known: dict[str, dict[str, _Kept]] = {}
        self._noted: set[str] | None = None
        """Uids whose tokens were changed by us while a list was read, which may not show it."""
        self._is_complete = False
        self._mark = ""
        """Up to which change of the cluster's tokens this is."""

    def find(self, uid: str) -> Mapping[str, Token]:
        """Return the tokens of an object, by which of its secrets they are; names of secret ones are masked.

        Raises:
            Unavailable: no list has been read yet, so that nobody can say that there is none.
        """
        if not self._is_complete:
            raise Unavailable("the cluster's tokens have not been listed yet", NOBODY_ASKED)
        return {secret: kept.unpack() for secret, kept in self._known.get(uid, {}).items()}

    async def refresh(self) -> set[str]:
        """Read the list anew and return the uids of the objects whose tokens are not what they were.

        Raises:
            TeleportError: auth does not answer; what was known stays.
        """
        if not self._mark:
            with suppress(TeleportError):  # who gives no mark tells no changes; if auth is away the list says so
                self._mark = (await self._caller.call(TOKEN_CHANGES, TokenChangesRequest(wait_seconds=0))).mark
        self._noted = set()
        try:
            found: dict[str, dict[str, _Kept]] = {}
            async for raw in self._list(with_secrets=False):
                marks = read_labels(raw["metadata"].get("labels", {}))
                if marks.operator == self._operator:
                    found.setdefault(marks.uid, {})[marks.secret] = self._keep(raw, marks)
            for uid in self._noted:
                _set(found, uid, self._known.get(uid))
        finally:
            self._noted = None
        changed = {uid for uid in found.keys() | self._known.keys() if found.get(uid) != self._known.get(uid)}
        self._known, self._is_complete = found, True
        return changed

    async def wait_for_changes(self, patience: timedelta) -> set[str] | None:
        """Wait until tokens change and return the uids of their objects, which may be none; None asks for `refresh`.

        Raises:
            TeleportError: auth does not answer, or tells no changes.
        """
        request = TokenChangesRequest(mark=self._mark, wait_seconds=int(min(patience, LONGEST_WAIT).total_seconds()))
        self._noted = set()
        try:
            answer = await self._caller.call(TOKEN_CHANGES, request)
            self._mark = answer.mark
            return {*self._take_over(answer, self._noted)} if answer.is_complete else None
        finally:
            self._noted = None

    def _take_over(self, answer: TokenChangesResponse, noted: set[str]) -> Iterator[str]:
        """Know what others changed; what is known already is newer where it is our own change."""
        for gone in answer.gone:
            marks = read_labels(gone.labels)
            kept = self._known.get(marks.uid, {}).get(marks.secret)
            if kept is not None and marks.operator == self._operator and int(kept.revision) < int(gone.revision):
                self._forget(marks)
                yield marks.uid
        for raw in answer.tokens:
            marks = read_labels(raw["metadata"].get("labels", {}))
            kept = self._known.get(marks.uid, {}).get(marks.secret)
            is_older = marks.uid in noted if kept is None else int(raw["metadata"]["revision"]) <= int(kept.revision)
            if marks.operator == self._operator and not is_older:
                self._known.setdefault(marks.uid, {})[marks.secret] = _pack(raw)
                yield marks.uid

    async def get(self, name: str) -> Token | None:
        """Return a token by its name, or None."""
        try:
            answer = await self._caller.call(RESOURCE_GET, GetRequest(kind=KIND, name=name))
        except NotFound:
            return None
        return _parse(answer.resource)

    async def create(self, token: Token) -> None:
        """Store a token whose name is free.

        Raises:
            AlreadyExists: it is not.
        """
        answer = await self._caller.call(RESOURCE_CREATE, ResourceRequest(resource=to_plain(token)))
        self._note(_parse(answer.resource))

    async def update(self, token: Token, before: Token | None = None) -> None:
        """Replace a token that is still at the revision which the new one names.

        Args:
            token: the new one.
            before: the old one, where it bore other marks.

        Raises:
            NotFound, CompareFailed: it is gone, or has moved on.
        """
        answer = await self._caller.call(RESOURCE_UPDATE, ResourceRequest(resource=to_plain(token)))
        if before is not None:
            self._drop(before)
        self._note(_parse(answer.resource))

    async def delete(self, name: str, token: Token) -> None:
        """Delete a token that is still at its revision; one that is gone is as good.

        Raises:
            CompareFailed: it has moved on.
        """
        request = DeleteRequest(kind=KIND, name=name, revision=token.metadata.revision)
        with suppress(NotFound):
            await self._caller.call(RESOURCE_DELETE, request)
        self._drop(token)

    async def find_names(self, uid: str) -> Mapping[str, str]:
        """Return the names of an object's tokens, by which of its secrets they are: all names are read for it."""
        names = {}
        async for raw in self._list(with_secrets=True):
            if raw["metadata"].get("labels", {}).get(OPERATOR) == self._operator:
                token = _parse(raw)
                if read_marks(token).uid == uid:
                    names[read_marks(token).secret] = token.name
        return names

    async def list_uses(self, name: str, since: datetime) -> tuple[TokenUse, ...]:
        """Return the uses of a token after a moment, also of one that is gone; of more than a thousand the newest."""
        uses: tuple[TokenUse, ...] = ()
        for limit in (FEW_USES, MAX_USES):
            answer = await self._caller.call(TOKEN_USES, TokenUsesRequest(name=name, limit=limit))
            uses = tuple(use for use in answer.uses if use.time > since)
            if len(uses) < limit:
                break
        return uses

    async def _list(self, *, with_secrets: bool) -> AsyncGenerator[dict[str, Any], None]:
        mark = ""
        while True:
            request = ListRequest(kind=KIND, with_secrets=with_secrets, page_size=PAGE_SIZE, page_token=mark)
            page = await self._caller.call(RESOURCE_LIST, request)
            for raw in page.resources:
                yield raw
            mark = page.next_page_token
            if not mark:
                return

    def _keep(self, raw: dict[str, Any], marks: Marks) -> _Kept:
        """Return what is kept of a token, which is what is known already if it is still at its revision."""
        known = self._known.get(marks.uid, {}).get(marks.secret)
        return known if known is not None and known.revision == raw["metadata"].get("revision") else _pack(raw)

    def _note(self, token: Token) -> None:
        marks = read_marks(token)
        if marks.operator == self._operator:
            kept = _pack(to_plain(token.with_metadata(name=token.safe_name)))
            self._known.setdefault(marks.uid, {})[marks.secret] = kept
            self._remember_change(marks.uid)

    def _drop(self, token: Token) -> None:
        marks = read_marks(token)
        self._forget(marks)
        self._remember_change(marks.uid)

    def _forget(self, marks: Marks) -> None:
        self._known.get(marks.uid, {}).pop(marks.secret, None)
        _set(self._known, marks.uid, self._known.get(marks.uid))

    def _remember_change(self, uid: str) -> None:
        if self._noted is not None:
            self._noted.add(uid)


def _set(known: dict[str, dict[str, _Kept]], uid: str, tokens: dict[str, _Kept] | None) -> None:
    """Put an object's tokens where they are known, or nothing where there are none."""
    if tokens:
        known[uid] = tokens
    else:
        known.pop(uid, None)


def _pack(raw: dict[str, Any]) -> _Kept:
    packed = bytes(memoryview(orjson.dumps(raw)))  # copied: what orjson returns holds a buffer three times as large
    return _Kept(raw["metadata"].get("revision", ""), packed)


def _parse(raw: dict[str, Any]) -> Token:
    token = parse_resource(raw)
    if not isinstance(token, Token):
        raise TypeError(f"auth gave a {token.kind} where a token was asked for")
    return token
