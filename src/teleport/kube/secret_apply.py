"""A Secret as it shall be: what is sent to the API server by server-side apply."""

from base64 import b64encode
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class SecretApply:
    """A Secret of type Opaque, whole."""

    namespace: str
    name: str
    data: Mapping[str, bytes] = field(repr=False)
    resource_version: str = ""
    """At which it must still be; empty where it need not be there."""
    labels: Mapping[str, str] = field(default_factory=dict)
    annotations: Mapping[str, str] = field(default_factory=dict)


def build_secret(secret: SecretApply) -> dict[str, Any]:
    """Return the object; what is not set is left to other field managers."""
    metadata: dict[str, Any] = {"name": secret.name, "namespace": secret.namespace}
    optional = {
        "labels": dict(secret.labels),
        "annotations": dict(secret.annotations),
        "resourceVersion": secret.resource_version,
    }
    metadata |= {name: value for name, value in optional.items() if value}
    return {
        "apiVersion": "v1",
        "kind": "Secret",
        "type": "Opaque",
        "metadata": metadata,
        "data": {key: b64encode(value).decode() for key, value in secret.data.items()},
    }
