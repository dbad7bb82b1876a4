"""`tctl manifests`: files of Kubernetes that declare tokens."""

from teleport.cli.lazy import LazyGroup

_HERE = "teleport.cli.tctl"

manifests = LazyGroup(
    name="manifests",
    help="Check manifests of TeleportProvisionToken before they are applied.",
    commands_at={"check": f"{_HERE}.manifest_check:check"},
)
