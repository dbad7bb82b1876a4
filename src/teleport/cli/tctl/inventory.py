"""`tctl inventory`: the processes that have joined."""

from teleport.cli.lazy import LazyGroup

_HERE = "teleport.cli.tctl"

inventory = LazyGroup(
    name="inventory",
    help="Look at the processes that have joined.",
    commands_at={"status": f"{_HERE}.inventory_status:status", "ls": f"{_HERE}.inventory_list:list_all"},
    aliases={"list": "ls"},
)
