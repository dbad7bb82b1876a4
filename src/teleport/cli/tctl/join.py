"""`tctl join`: what would become of a join."""

from teleport.cli.lazy import LazyGroup

_HERE = "teleport.cli.tctl"

join = LazyGroup(
    name="join",
    help="Find out why a pod may join, or why not.",
    commands_at={"explain": f"{_HERE}.join_explain:explain_join"},
)
