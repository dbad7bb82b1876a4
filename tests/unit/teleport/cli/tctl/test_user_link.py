from datetime import UTC, datetime, timedelta

import pytest

from teleport.api.people import UserLinkResponse
from teleport.cli.tctl.user_link import build_ttl_parser, parse_names, render_link
from teleport.cli.tctl.user_table import render_users
from teleport.errors import BadParameter
from teleport.resources.model import Metadata
from teleport.resources.user import User, UserSpec, UserStatus

URL = "https://proxy.example.com:3080/web/invite/abc"
LINK = UserLinkResponse(url=URL, expires=datetime(2026, 1, 31, 12, 0, tzinfo=UTC))


@pytest.mark.parametrize(("text", "ttl"), [("1m", timedelta(minutes=1)), ("48h", timedelta(hours=48))])
def test_a_link_lives_within_its_bounds(text: str, ttl: timedelta) -> None:
    assert build_ttl_parser(timedelta(hours=48))(text) == ttl


@pytest.mark.parametrize("text", ["59s", "48h1s", "0"])
def test_a_link_lives_no_shorter_and_no_longer(text: str) -> None:
    with pytest.raises(BadParameter, match="between 1m0s and 48h0m0s"):
        build_ttl_parser(timedelta(hours=48))(text)


def test_names_are_separated_by_commas_and_each_stands_once() -> None:
    assert parse_names("a, b,a") == ("a", "b")


@pytest.mark.parametrize("text", ["", "a,", ",a"])
def test_an_empty_name_is_refused(text: str) -> None:
    with pytest.raises(BadParameter):
        parse_names(text)


def test_people_read_the_link_and_where_it_leads() -> None:
    text = render_link(LINK, "Share this:", "text", user="alice")
    assert text.startswith(f"Share this:\n{URL}\n")
    assert "reaches proxy.example.com:3080" in text


def test_programs_read_the_link_as_an_object() -> None:
    assert f'"url": "{URL}"' in render_link(LINK, "Share this:", "json", user="alice")


def test_the_table_of_users_shows_who_is_invited_active_or_locked() -> None:
    states = {
        "alice": UserStatus(is_enrolled=True),
        "bob": UserStatus(),
        "carol": UserStatus(is_enrolled=True, locked_until=datetime(2026, 1, 31, 12, 0, 0, 5, tzinfo=UTC)),
    }
    users = [
        User(metadata=Metadata(name=name), spec=UserSpec(roles=("access", "editor"), status=status))
        for name, status in states.items()
    ]
    assert render_users(users) == (
        "User  Roles         Status\n"
        "----- ------------- ---------------------------------\n"
        "alice access,editor active\n"
        "bob   access,editor invited\n"
        "carol access,editor locked until 2026-01-31T12:00:00Z\n"
    )
