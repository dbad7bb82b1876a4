"""`tctl nodes`: SSH services."""

from teleport.cli.lazy import LazyGroup

_HERE = "teleport.cli.tctl"

nodes = LazyGroup(
    name="nodes",
    help="Invite SSH services and list those that are alive.",
    commands_at={"add": f"{_HERE}.node_add:add", "ls": f"{_HERE}.node_list:list_all"},
    aliases={"list": "ls"},
)
