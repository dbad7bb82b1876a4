"""Which Secret an agent keeps its state in, if its environment says that it is a replica in Kubernetes."""

import re
from collections.abc import Mapping
from dataclasses import dataclass

from teleport.errors import BadParameter

NAMESPACE_VARIABLE = "KUBE_NAMESPACE"
REPLICA_VARIABLE = "TELEPORT_REPLICA_NAME"
RELEASE_VARIABLE = "RELEASE_NAME"
MAX_NAMESPACE = 63
MAX_REPLICA = 128
"""The replica's name is the field manager too, for which Kubernetes takes no more."""
MAX_RELEASE = 53
"""Helm takes no more."""

_LABEL = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_NAMESPACE = re.compile(_LABEL)
_SUBDOMAIN = re.compile(rf"{_LABEL}(\.{_LABEL})*")


@dataclass(frozen=True, slots=True)
class SecretPlace:
    """The Secret of one replica."""

    namespace: str
    replica: str
    release: str = ""
    """The Helm release that it is of; empty if it is of none."""

    @property
    def name(self) -> str:
        """Return the Secret's name."""
        return f"{self.replica}-state"

    @property
    def labels(self) -> Mapping[str, str]:
        """Return what says that Helm made it."""
        return {"app.kubernetes.io/managed-by": "Helm"} if self.release else {}

    @property
    def annotations(self) -> Mapping[str, str]:
        """Return what says whose it is, and that an upgrade leaves it where it is."""
        if not self.release:
            return {}
        return {
            "meta.helm.sh/release-name": self.release,
            "meta.helm.sh/release-namespace": self.namespace,
            "helm.sh/resource-policy": "keep",
        }


def parse_place(environ: Mapping[str, str]) -> SecretPlace | None:
    """Return the Secret that the environment names, or None: both namespace and replica are needed for that.

    Raises:
        BadParameter: a variable holds what cannot be such a name.
    """
    namespace, replica = environ.get(NAMESPACE_VARIABLE), environ.get(REPLICA_VARIABLE)
    if not namespace or not replica:
        return None
    release = environ.get(RELEASE_VARIABLE, "")
    _check_name(NAMESPACE_VARIABLE, namespace, _NAMESPACE, MAX_NAMESPACE)
    _check_name(REPLICA_VARIABLE, replica, _SUBDOMAIN, MAX_REPLICA)
    if release:
        _check_name(RELEASE_VARIABLE, release, _SUBDOMAIN, MAX_RELEASE)
    return SecretPlace(namespace, replica, release)


def _check_name(variable: str, value: str, pattern: re.Pattern[str], limit: int) -> None:
    if len(value) > limit or not pattern.fullmatch(value):
        raise BadParameter(
            f"{variable} is {value[:64]!r}, and that is no such name in Kubernetes: it has at most {limit} characters, "
            f"lower-case letters, digits, hyphens{'' if pattern is _NAMESPACE else ' and dots'}"
        )
