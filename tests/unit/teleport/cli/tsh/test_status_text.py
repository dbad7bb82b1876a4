from datetime import timedelta

import pytest

from support.clock import START
from support.logins import VALID_UNTIL, build_profile
from teleport.cli.tsh.status_text import describe_profile, render_profile, render_profiles

BLOCK = """\
> Profile URL:        https://teleport.example.com:443
  Logged in as:       alice
  Cluster:            example.com
  Roles:              access, editor
  Logins:             root, ubuntu
  Kubernetes:         disabled
  Valid until:        2026-01-01 12:00:00 +0000 UTC [valid for 12h0m0s]
  Extensions:         permit-port-forwarding, permit-pty
"""


def test_a_login_is_shown_as_the_original_does() -> None:
    assert render_profile(build_profile(roles=("access", "editor")), START) == BLOCK


@pytest.mark.parametrize(
    ("left", "text"),
    [
        (timedelta(hours=11, minutes=59, seconds=58), "valid for 12h0m0s"),
        (timedelta(seconds=61), "valid for 1m0s"),
        (timedelta(seconds=59), "valid for 59s"),
        (timedelta(seconds=1), "valid for 1s"),
        (timedelta(), "EXPIRED"),
        (timedelta(days=-1), "EXPIRED"),
    ],
)
def test_the_rest_of_its_life_is_told_until_it_is_over(left: timedelta, text: str) -> None:
    assert f"[{text}]\n" in render_profile(build_profile(), VALID_UNTIL - left)


def test_the_active_login_comes_first_and_has_a_mark() -> None:
    alice, bob = build_profile(), build_profile(proxy="other.example.com:3080", user="bob")
    text = render_profiles([bob, alice], alice, START)
    assert [line for line in text.splitlines() if "Profile URL" in line] == [
        "> Profile URL:        https://teleport.example.com:443",
        "  Profile URL:        https://other.example.com:3080",
    ]


def test_what_auth_says_cannot_steer_a_terminal() -> None:
    assert "\x1b" not in render_profile(build_profile(roles=("\x1b[2J",)), START)


def test_programs_get_no_keys() -> None:
    told = describe_profile(build_profile(), is_active=True)
    assert (told["username"], told["valid_until"]) == ("alice", "2026-01-01T12:00:00Z")
    assert "PRIVATE" not in str(told)
    assert "PRIVATE" not in repr(build_profile())
