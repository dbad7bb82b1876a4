"""The labels by which a token says which object it comes from.

The origin is the original's; the others are ours. They are what ownership is judged by: a token without them belongs to
somebody else.
"""

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass

import orjson

from teleport.resources.token import Token

ORIGIN = "teleport.dev/origin"
KUBERNETES = "kubernetes"
OPERATOR = "resources.teleport.dev/operator"
UID = "resources.teleport.dev/uid"
OBJECT = "resources.teleport.dev/object"
DECLARED = "resources.teleport.dev/declared"
"""A fingerprint of what was declared; where it is the present one and the token differs, somebody else changed it."""
SECRET = "resources.teleport.dev/secret"  # noqa: S105 - a label's name
"""Which of an object's secrets: the time it was made; empty where the object's name is the token's."""


@dataclass(frozen=True, slots=True)
class Marks:
    """Whose token it is."""

    operator: str
    """The id of the operator, so that two of them do not take each other's tokens."""
    uid: str
    namespace: str
    name: str
    declared: str = ""
    secret: str = ""

    @property
    def is_ours(self) -> bool:
        """Tell whether any operator of this kind made the token."""
        return bool(self.operator and self.uid)


def read_marks(token: Token) -> Marks:
    """Return the marks of a token, which may have none."""
    return read_labels(token.metadata.labels)


def read_labels(labels: Mapping[str, str]) -> Marks:
    """Return the marks among a token's labels."""
    namespace, _, name = labels.get(OBJECT, "").partition("/")
    return Marks(
        operator=labels.get(OPERATOR, ""),
        uid=labels.get(UID, ""),
        namespace=namespace,
        name=name,
        declared=labels.get(DECLARED, ""),
        secret=labels.get(SECRET, ""),
    )


def mark(token: Token, marks: Marks) -> Token:
    """Return the token with marks on it, the fingerprint of what it declares among them.

    An object's name may be the secret; then it is not written down a second time.
    """
    labels = {
        ORIGIN: KUBERNETES,
        OPERATOR: marks.operator,
        UID: marks.uid,
        OBJECT: f"{marks.namespace}/{'' if token.is_secret and not marks.secret else marks.name}",
        DECLARED: _fingerprint(token),
    }
    return token.with_metadata(labels=labels | ({SECRET: marks.secret} if marks.secret else {}))


def unmark(token: Token) -> Token:
    """Return the token as one that belongs to nobody's object."""
    own = {ORIGIN, OPERATOR, UID, OBJECT, DECLARED, SECRET}
    return token.with_metadata(labels={key: text for key, text in token.metadata.labels.items() if key not in own})


def is_equal(actual: Token, desired: Token) -> bool:
    """Tell whether a stored token is the desired one; its name may be masked, and its revision is the store's."""
    return _content(actual) == _content(desired)


def has_equal_content(actual: Token, desired: Token) -> bool:
    """Tell whether two tokens are the same but for their labels."""
    return _content(unmark(actual).with_metadata(labels={})) == _content(desired.with_metadata(labels={}))


def _content(token: Token) -> object:
    return token.with_metadata(name="", revision="").model_dump(mode="json", exclude_none=True)


def _fingerprint(token: Token) -> str:
    return hashlib.sha256(orjson.dumps(_content(token.with_metadata(labels={})))).hexdigest()[:16]
