"""What a pod shows: its ServiceAccount token, read anew for each attempt, since the kubelet replaces it.

When the pod is refused, what can be seen of its own token tells its operator where to look.
"""

import os
from pathlib import Path

from teleport.config.value_file import read_regular_file
from teleport.errors import BadParameter, TeleportError
from teleport.pki.jwt import parse_jwt, read_audiences

PATH_VARIABLE = "KUBERNETES_TOKEN_PATH"
DEFAULT_PATH = Path("/var/run/secrets/kubernetes.io/serviceaccount/token")
MAX_TOKEN_BYTES = 16 * 1024


def explain(cluster_name: str) -> str:
    """Say what of this pod's own token may have led to a refusal; the token itself is not shown.

    Args:
        cluster_name: of the cluster that refused.
    """
    try:
        claims = parse_jwt(prove()).claims
        audiences = read_audiences(claims)
    except TeleportError as error:
        return f"the ServiceAccount token of this pod cannot be read: {error.message}"
    if not isinstance(claims.get("kubernetes.io"), dict) or "pod" not in claims["kubernetes.io"]:
        return (
            "the ServiceAccount token is bound to no pod; mount a projected one: volumes[].projected.sources[]."
            f"serviceAccountToken with audience {cluster_name!r}, and set {PATH_VARIABLE} to its path"
        )
    shown = ", ".join(audiences)
    return (
        f"the token is of {str(claims.get('sub', ''))[:256]}, for {shown}; auth accepts the audience {cluster_name!r} "
        "and, unless the token resource says otherwise, the API server's own. Compare it with spec.kubernetes.allow"
    )


def prove() -> str:
    """Return the token.

    Raises:
        NotFound: there is no token file; the pod must mount one.
        BadParameter: the file is empty, too large, or no text.
    """
    path = Path(os.environ.get(PATH_VARIABLE) or DEFAULT_PATH)
    token = read_regular_file(path, MAX_TOKEN_BYTES).strip()
    if not token:
        raise BadParameter(f"the ServiceAccount token file {path} is empty")
    return token
