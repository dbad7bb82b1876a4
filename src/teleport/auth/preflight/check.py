"""What one check says, and what an auth server shall do, on which that depends."""

from dataclasses import dataclass
from enum import StrEnum

from teleport.kube.access import Verification
from teleport.kube.grants import Grant


class Status(StrEnum):
    """What a check has found."""

    OK = "ok"
    OPTIONAL = "optional"
    """Not granted, and not needed for what was asked."""
    WARNING = "warning"
    MISSING = "missing"


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked at."""

    name: str
    status: Status
    finding: str
    remedy: str = ""
    grant: Grant | None = None
    """What to grant, where that is the remedy."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What an auth server shall do."""

    verification: Verification
    cluster_name: str = ""
    """Empty if it is not known."""
    namespaces: tuple[str, ...] = ()
    """Of the pods that are looked at; empty for all."""
    settings: frozenset[str] = frozenset()
    """Those of `spec.kubernetes` that token resources will have, and that need further rights."""

    @property
    def places(self) -> tuple[str, ...]:
        """Return the namespaces to ask about; an empty name stands for all of them."""
        return self.namespaces or ("",)
