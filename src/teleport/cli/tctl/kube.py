"""`tctl kube`: an auth server's way to Kubernetes."""

from teleport.cli.lazy import LazyGroup

kube = LazyGroup(
    name="kube",
    help="Look at an auth server's way to Kubernetes.",
    commands_at={"preflight": "teleport.cli.tctl.kube_preflight:preflight"},
)
