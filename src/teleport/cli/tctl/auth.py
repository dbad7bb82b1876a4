"""`tctl auth`: the cluster's certificate authorities."""

from teleport.cli.lazy import LazyGroup

_HERE = "teleport.cli.tctl"

auth = LazyGroup(
    name="auth",
    help="Export authorities' public keys, and sign identities.",
    commands_at={"export": f"{_HERE}.auth_export:export", "sign": f"{_HERE}.auth_sign:sign"},
)
