"""Options that several commands share, and parsers of ours as click wants them."""

from collections.abc import Callable
from typing import Any, TypeVar

import click

from teleport.errors import BadParameter

Decorated = TypeVar("Decorated", bound=Callable[..., Any])


def parsed(parse: Callable[[str], object]) -> Callable[[click.Context, click.Parameter, str | None], object]:
    """Return a callback that turns an option's text into a value, and a refusal into a usage error."""

    def convert(ctx: click.Context, param: click.Parameter, value: str | None) -> object:
        if value is None:
            return None
        try:
            return parse(value)
        except BadParameter as error:
            raise click.BadParameter(error.message, ctx, param) from error

    return convert


def format_option(*formats: str, default: str | None = "text") -> Callable[[Decorated], Decorated]:
    """Return `--format` with the formats that a command has; without a default the command shows a table."""
    return click.option(
        "--format",
        "output_format",
        type=click.Choice(formats),
        default=default,
        show_default=True,
        help="Output format.",
    )


def with_secrets_option(command: Decorated) -> Decorated:
    """Add `--with-secrets`."""
    return click.option("--with-secrets", is_flag=True, help="Show what is masked otherwise, in every format.")(command)
