import click
import pytest
from click.testing import CliRunner

from teleport.cli.lazy import LazyGroup

GROUP = LazyGroup(
    name="tool",
    commands_at={"version": "teleport.cli.tctl.version:version", "broken": "teleport.version:VERSION"},
    aliases={"v": "version"},
)


def test_a_command_is_found_by_name_and_by_alias() -> None:
    for name in ("version", "v"):
        assert CliRunner().invoke(GROUP, [name]).output.startswith("Teleport v")


def test_an_unknown_command_is_a_usage_error() -> None:
    assert CliRunner().invoke(GROUP, ["nonsense"]).exit_code == 2


def test_help_shows_no_alias_and_keeps_the_order() -> None:
    assert GROUP.list_commands(click.Context(GROUP)) == ["version", "broken"]


def test_a_table_that_names_something_else_is_a_mistake_of_ours() -> None:
    with pytest.raises(TypeError, match="no command"):
        GROUP.get_command(click.Context(GROUP), "broken")
