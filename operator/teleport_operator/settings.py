"""What an operator is told when it is started."""

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from teleport.resources.address import Address

NAMESPACE_FILE = Path("/var/run/secrets/kubernetes.io/serviceaccount/namespace")

DIAG_ADDR = Address("0.0.0.0", 8080)  # noqa: S104 - kubelet and Prometheus ask from outside of the pod


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """Settings of one process."""

    auth_server: Address
    namespace: str
    """Where the operator itself lives: its lease is there, and what is declared there is not restricted."""
    namespaces: tuple[str, ...]
    """Whose objects are watched; empty for those of all namespaces."""
    token: str = "teleport-operator"  # noqa: S105 - the name of a token that names no secret
    """The provision token by which the operator joins."""
    join_method: str = "kubernetes"
    ca_pins: tuple[str, ...] = ()
    ca_file: Path | None = None
    """CA certificates of the cluster, instead of pins."""
    identity_file: Path | None = None
    """Instead of joining; for development."""
    kubeconfig: Path | None = None
    """Instead of the pod's own account; for development."""
    operator_id: str = "teleport-operator"
    """Tells the tokens of this operator from those of others in the same cluster."""
    lease: str = "teleport-operator"
    diag_addr: Address = DIAG_ADDR
    delegation_file: Path | None = None
    deletion_timeout: timedelta = timedelta(hours=1)
    drift_interval: timedelta = timedelta(seconds=30)
    """How often the cluster's tokens are compared with what they should be."""
    workers: int = 16
    """Objects that are looked at at the same time."""
