"""Links for users: how long they last, what is said of them, and the options that go with them."""

from collections.abc import Callable
from datetime import timedelta

from teleport.api.people import UserLinkResponse
from teleport.cli.escaping import escape
from teleport.cli.output import render_items
from teleport.config.duration import parse_duration, render_duration
from teleport.errors import BadParameter
from teleport.resources.model import render_time

MIN_TTL = timedelta(minutes=1)


def build_ttl_parser(longest: timedelta) -> Callable[[str], timedelta]:
    """Return the parser of a link's life."""

    def parse(text: str) -> timedelta:
        ttl = parse_duration(text)
        if not MIN_TTL <= ttl <= longest:
            raise BadParameter(f"a link lives between 1m0s and {render_duration(longest)}")
        return ttl

    return parse


def parse_names(text: str) -> tuple[str, ...]:
    """Read names that are separated by commas.

    Raises:
        BadParameter: one is empty.
    """
    names = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if not all(names):
        raise BadParameter("give names, separated by commas")
    return names


def render_link(link: UserLinkResponse, text: str, output_format: str, *, user: str) -> str:
    """Return what is said of a new link.

    Args:
        link: the link.
        text: the first line, for people.
        output_format: `text`, `json` or `yaml`.
        user: whose link it is.
    """
    if output_format != "text":
        return render_items([{"name": user, "url": link.url, "expires": render_time(link.expires)}], output_format)
    host = link.url.split("/")[2]
    return (
        f"{text}\n{escape(link.url)}\n\n"
        f"NOTE: Make sure that the user's browser reaches {escape(host)}, and that nobody else sees the link.\n"
    )
