"""How joined processes are shown."""

from collections.abc import Sequence

from teleport.cli.output import render_table
from teleport.resources.presence import Instance

HEADER = ("Server ID", "Hostname", "Services", "Agent Version", "Upgrader", "Upgrader Version", "Update Group")
NONE = "none"


def render_instances(instances: Sequence[Instance]) -> str:
    """Return the table of the inventory; no process of ours is updated by an upgrader."""
    return render_table(HEADER, [_build_row(instance) for instance in instances])


def render_services(instance: Instance) -> str:
    """Return the services that the process runs."""
    return ",".join(instance.spec.services) or NONE


def _build_row(instance: Instance) -> Sequence[str]:
    spec = instance.spec
    return (instance.name, spec.hostname or NONE, render_services(instance), spec.version or NONE, NONE, NONE, NONE)
