"""The end of an object: its tokens go first, and the object waits for that, but not for ever."""

from collections.abc import Mapping
from enum import StrEnum

from teleport.resources.token import Token
from teleport_operator.conditions import State
from teleport_operator.declaration import Head
from teleport_operator.marks import read_marks, unmark
from teleport_operator.obstacles import RACES, Obstacle, asking_auth
from teleport_operator.tokens import Tokens

MAX_ATTEMPTS = 4


class Farewell(StrEnum):
    """What became of the tokens; the values are reasons of Events."""

    DELETED = "Deleted"
    ORPHANED = "Orphaned"
    NOTHING = ""


class Deletion:
    """Takes the tokens of an object away, or lets them live where that is wanted.

    Args:
        tokens: the cluster's.
    """

    def __init__(self, *, tokens: Tokens) -> None:
        self._tokens = tokens

    async def finish(self, head: Head) -> Farewell:
        """Do with the tokens of an object what its policy says.

        Raises:
            Obstacle: auth does not answer, or refuses.
        """
        if head.ignore:
            return Farewell.ORPHANED
        with asking_auth():
            known = self._tokens.find(head.uid)
            if not known:
                return Farewell.NOTHING
            names = await self._find_names(head, known)
        for label in known:
            if label in names:
                await self._finish_one(names[label], head, label)
        return Farewell.ORPHANED if head.orphans else Farewell.DELETED

    async def _find_names(self, head: Head, known: Mapping[str, Token]) -> Mapping[str, str]:
        return {"": head.name} if set(known) == {""} else await self._tokens.find_names(head.uid)

    async def _finish_one(self, name: str, head: Head, label: str) -> None:
        """Delete a token, or make it nobody's; whoever changes it meanwhile is looked at again."""
        token: Token | None = self._tokens.find(head.uid).get(label)
        for _ in range(MAX_ATTEMPTS):
            if token is None:
                return
            with asking_auth():
                try:
                    if head.orphans:
                        await self._tokens.update(unmark(token).with_metadata(name=name), token)
                    else:
                        await self._tokens.delete(name, token)
                except RACES:
                    found = await self._tokens.get(name)
                    token = found if found is not None and read_marks(found).uid == head.uid else None
                else:
                    return
        raise Obstacle(State.AUTH_UNREACHABLE, "the token keeps changing in the cluster")
