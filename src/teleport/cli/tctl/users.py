"""`tctl users`: people."""

from teleport.cli.lazy import LazyGroup

_HERE = "teleport.cli.tctl"

users = LazyGroup(
    name="users",
    help="Invite people, list them, change what they may, let them in again, remove them.",
    commands_at={
        "add": f"{_HERE}.user_add:add",
        "ls": f"{_HERE}.user_list:list_all",
        "rm": f"{_HERE}.user_remove:remove",
        "update": f"{_HERE}.user_update:update",
        "reset": f"{_HERE}.user_reset:reset",
    },
    aliases={"del": "rm", "list": "ls"},
)
