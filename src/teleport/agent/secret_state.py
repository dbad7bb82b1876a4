"""The agent's state in a Secret: it outlives the pod, and needs no volume."""

import logging
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from teleport.agent.memory import AgentState
from teleport.agent.secret_items import build_items, parse_items
from teleport.agent.secret_place import SecretPlace
from teleport.agent.state import StateStore
from teleport.errors import BadParameter, CompareFailed, StorageError, Unavailable
from teleport.kube.errors import Forbidden, NoAnswer
from teleport.kube.grants import build_state_grant, find_account
from teleport.kube.objects import Secret
from teleport.kube.secret_apply import SecretApply

logger = logging.getLogger(__name__)


class SecretApi(Protocol):
    """Who is asked; `kube/api.py` is it in earnest."""

    async def get_secret(self, namespace: str, name: str) -> Secret | None:
        """Return a Secret, or None if there is none of that name."""
        ...

    async def create_secret(self, secret: SecretApply, *, field_manager: str) -> Secret:
        """Make a Secret that is not there yet."""
        ...

    async def apply_secret(self, secret: SecretApply, *, field_manager: str, force: bool = False) -> Secret:
        """Write a Secret by server-side apply."""
        ...


class SecretState:
    """The state in the Secret `<replica>-state`.

    Each write is one server-side apply, bound to the version that was read or written last. So of two agents that
    believe to be the same replica one writes, and the other is told.

    Args:
        api: the client.
        place: which Secret.
        local: where an agent that did not use a Secret before has its state; copied if the Secret holds none.
    """

    def __init__(self, *, api: SecretApi, place: SecretPlace, local: StateStore) -> None:
        self._api = api
        self._place = place
        self._local = local
        self._known: Secret | None = None
        self._unanswered: list[Mapping[str, bytes]] = []
        """What was sent since then; it may have been written, and the answer lost."""

    @property
    def place(self) -> str:
        """Return the Secret's name."""
        return f"Secret {self._place.namespace}/{self._place.name}"

    async def load(self) -> AgentState:
        """Return what is remembered.

        Raises:
            StorageError: the Secret holds something else, or another process writes there.
            Unavailable: the API server does not answer, or does not let this process ask.
        """
        with self._explained():
            self._known = await self._get()
        if self._known is not None and self._known.data:
            return self._parse(self._known)
        state = await self._local.load()
        if state != AgentState():
            await self.store(state)
            logger.info("the agent's state is copied from %s to %s", self._local.place, self.place)
        return state

    async def store(self, state: AgentState) -> None:
        """Remember the state; a Secret that was deleted is made again.

        Raises:
            StorageError: another process writes there.
            Unavailable: the API server does not answer, or does not let this process write.
        """
        items = build_items(state)
        with self._explained():
            try:
                await self._write(items)
            except CompareFailed as error:
                await self._look_again(error)
                await self._write(items)

    async def _write(self, items: Mapping[str, bytes]) -> None:
        if self._known is None:
            # An apply would take over what another process makes at the same moment; of two creations one fails.
            self._known = await self._api.create_secret(self._build({}), field_manager=self._place.replica)
        if items not in self._unanswered:
            self._unanswered.append(items)
        self._known = await self._api.apply_secret(self._build(items), field_manager=self._place.replica, force=True)
        self._unanswered.clear()

    async def _look_again(self, refusal: CompareFailed) -> None:
        """Go on from the present version if nobody else has changed the data."""
        found = await self._get()
        own = [*self._unanswered, self._known.data if self._known is not None else {}]
        if found is not None and found.data and found.data not in own:
            raise StorageError(
                f"another process has written into {self.place}, and what it wrote was left alone: no two replicas may "
                f"have the same TELEPORT_REPLICA_NAME; stop one of them and restart the other ({refusal.message})"
            ) from refusal
        self._known = found

    async def _get(self) -> Secret | None:
        return await self._api.get_secret(self._place.namespace, self._place.name)

    def _build(self, items: Mapping[str, bytes]) -> SecretApply:
        return SecretApply(
            self._place.namespace,
            self._place.name,
            items,
            resource_version=self._known.resource_version if self._known is not None else "",
            labels=self._place.labels,
            annotations=self._place.annotations,
        )

    def _parse(self, found: Secret) -> AgentState:
        try:
            return parse_items(found.data)
        except BadParameter as error:
            raise StorageError(
                f"{self.place} does not hold an agent's state, {error.message}; remove it to join anew with a token"
            ) from error

    @contextmanager
    def _explained(self) -> Iterator[None]:
        try:
            yield
        except Forbidden as error:
            grant = build_state_grant(find_account(error.detail), self._place.namespace).command
            raise Unavailable(
                f"cannot keep the agent's state in {self.place}: {error.detail}; to grant it: {grant}",
                error.retry_after,
            ) from error
        except NoAnswer as error:
            raise Unavailable(
                f"cannot keep the agent's state in {self.place}: {error.detail}", error.retry_after
            ) from error
        except CompareFailed as error:
            raise Unavailable(f"{self.place} keeps changing: {error.message}") from error
