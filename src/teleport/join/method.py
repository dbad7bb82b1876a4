"""What a join method is.

A method never looks at how often, from where or until when a token may be used: that is the same for all of them and
is judged in `auth/joining.py`.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from teleport.clock import Clock
from teleport.resources.token import Token

if TYPE_CHECKING:
    from teleport.kube.access import KubernetesAccess
    from teleport.kube.bound_pod import BoundPod


@dataclass(frozen=True, slots=True)
class UnverifiedProof:
    """What a stranger shows beside the name of the token."""

    raw: str = field(repr=False)
    remote_addr: str
    key_fingerprint: str
    """Of the key whose possession the stranger has proved already."""


@dataclass(frozen=True, slots=True)
class ProofUse:
    """A proof that belongs to the first key that showed it."""

    proof_id: str
    """Tells this proof from every other, and does not let anybody in."""
    expires: datetime
    """After that the proof is worth nothing, and need not be remembered."""
    same_address_may_reuse: bool
    """Another key may show it from the address of the first: a container restarted and lost its key."""


@dataclass(frozen=True, slots=True)
class VerifiedIdentity:
    """Who the proof says the stranger is, after the check; the attributes go into the audit log."""

    subject: str = ""
    attributes: Mapping[str, Any] = field(default_factory=dict)
    use: ProofUse | None = None
    """For methods whose proof could be shown by somebody else as well."""
    bound_to: "BoundPod | None" = None
    """The pod with whose life the membership ends."""


class Judge(Protocol):
    """The half of a method that lives in the auth server."""

    def check_token(self, token: Token) -> None:
        """Refuse a token by which this method could judge nobody; called when a token is stored.

        Raises:
            BadParameter: the method's section of the spec is missing or contradicts itself.
        """
        ...

    async def judge(self, token: Token, proof: UnverifiedProof) -> VerifiedIdentity:
        """Say who the stranger is.

        Raises:
            JoinRefused: the proof does not convince; the reason is distinct for every check.
            Unavailable: whoever has to be asked does not answer.
        """
        ...


@dataclass(frozen=True, slots=True)
class JudgeContext:
    """What a judge may need to know about the cluster."""

    cluster_name: str
    clock: Clock
    kubernetes: "KubernetesAccess | None" = None
    """None where the auth server has no way to a Kubernetes API."""


Prover = Callable[[], str]
"""The half of a method that lives in the agent: it returns the proof, read anew at each attempt."""


Explainer = Callable[[str], str]
"""What an agent's operator may look at after a refusal, for the cluster of this name; nothing secret is in it."""


@dataclass(frozen=True, slots=True)
class JoinMethod:
    """One line of the catalog."""

    build_judge: Callable[[JudgeContext], Judge]
    prove: Prover
    explain: Explainer
