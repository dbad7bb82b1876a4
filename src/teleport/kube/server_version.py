"""Which version of Kubernetes an API server is, and the oldest one whose answers are understood here."""

import re
from dataclasses import dataclass

from teleport.kube.errors import BadAnswer

OLDEST = (1, 29)

_GIT_VERSION = re.compile(r"v([0-9]{1,4})\.([0-9]{1,4})\.[0-9]{1,4}([-+.].{0,200})?")


@dataclass(frozen=True, slots=True)
class ServerVersion:
    """The version of an API server."""

    major: int
    minor: int
    text: str

    @property
    def is_supported(self) -> bool:
        """Tell whether its tokens and reviews are as this program expects them."""
        return (self.major, self.minor) >= OLDEST


def parse_version(git_version: str) -> ServerVersion:
    """Read `gitVersion`, behind which vendors write what they like; their `major` and `minor` are no numbers.

    Raises:
        BadAnswer: it is no version.
    """
    found = _GIT_VERSION.fullmatch(git_version)
    if found is None:
        raise BadAnswer(f"{git_version[:64]!r} is no version of Kubernetes")
    return ServerVersion(int(found[1]), int(found[2]), git_version)
