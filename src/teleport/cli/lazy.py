"""Groups of commands that import a command's module when it is asked for, and none before."""

from collections.abc import Mapping
from importlib import import_module
from typing import Any

import click


class LazyGroup(click.Group):
    """A group whose commands are named as `module:attribute`.

    Args:
        commands_at: where each command is, in the order in which help shows them.
        aliases: further names; help does not show them.
        attributes: as for `click.Group`.
    """

    def __init__(
        self,
        *args: Any,  # noqa: ANN401 - click's own arguments, passed on
        commands_at: Mapping[str, str],
        aliases: Mapping[str, str] | None = None,
        **attributes: Any,  # noqa: ANN401 - the same
    ) -> None:
        super().__init__(*args, **attributes)
        self._commands_at = commands_at
        self._aliases = aliases or {}

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - click's signature
        """Return the names in the order of the table."""
        return list(self._commands_at)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002 - click's signature
        """Import and return the command, or None if there is none of that name."""
        target = self._commands_at.get(self._aliases.get(cmd_name, cmd_name))
        if target is None:
            return None
        module, _, attribute = target.partition(":")
        command = getattr(import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{target} is no command")
        return command
