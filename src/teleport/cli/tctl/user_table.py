"""How users are shown."""

from collections.abc import Iterable

from teleport.cli.output import render_table
from teleport.resources.model import render_time
from teleport.resources.user import User

HEADER = ("User", "Roles", "Status")


def render_users(users: Iterable[User]) -> str:
    """Return the table of users."""
    return render_table(HEADER, [(user.name, ",".join(user.spec.roles), _describe(user)) for user in users])


def _describe(user: User) -> str:
    status = user.spec.status
    if status.locked_until is not None:
        return f"locked until {render_time(status.locked_until.replace(microsecond=0))}"
    return "active" if status.is_enrolled else "invited"
