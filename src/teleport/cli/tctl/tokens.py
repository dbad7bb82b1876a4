"""`tctl tokens`: invitations for services."""

from teleport.cli.lazy import LazyGroup

_HERE = "teleport.cli.tctl"

tokens = LazyGroup(
    name="tokens",
    help="Invite services, list open invitations, revoke them, test rules.",
    commands_at={
        "add": f"{_HERE}.token_add:add",
        "ls": f"{_HERE}.token_list:list_all",
        "rm": f"{_HERE}.token_remove:remove",
        "uses": f"{_HERE}.token_uses:uses",
        "test": f"{_HERE}.token_test:test",
    },
    aliases={"del": "rm", "list": "ls"},
)
