from collections.abc import Callable
from pathlib import Path

import pytest

from support.logins import build_profile
from teleport.cli.profile import Profile
from teleport.cli.profile_store import list_candidates
from teleport.cli.tsh.profiles import find_profile, load_profile, open_store
from teleport.cli.tsh.session import Session
from teleport.errors import AccessDenied, BadParameter, NotFound

Opener = Callable[..., Session]


@pytest.fixture
def open_session(tmp_path: Path) -> Opener:
    def build(*profiles: Profile, proxy: str = "", user: str = "") -> Session:
        session = Session(environ={"TELEPORT_HOME": str(tmp_path / "tsh")}, proxy=proxy, user=user)
        for profile in profiles:
            open_store(session).store(profile)
        return session

    return build


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("teleport.example.com", ["teleport.example.com:443", "teleport.example.com:3080"]),
        (" Teleport.Example.com:8443 ", ["teleport.example.com:8443"]),
        ("[2001:db8::1]", ["[2001:db8::1]:443", "[2001:db8::1]:3080"]),
    ],
)
def test_without_a_port_both_of_a_proxys_are_tried(text: str, expected: list[str]) -> None:
    assert [str(address) for address in list_candidates(text)] == expected


@pytest.mark.parametrize("text", ["https://x", "x/../y", "x:99999", "a b", "\x1b[2J", "[::1%../x]:443"])
def test_what_is_no_address_is_refused(text: str) -> None:
    with pytest.raises(BadParameter):
        list_candidates(text)


def test_the_login_is_found_at_either_port(open_session: Opener) -> None:
    profile = build_profile(proxy="teleport.example.com:3080")
    assert load_profile(open_session(profile, proxy="teleport.example.com")) == profile
    assert load_profile(open_session(profile, proxy="TELEPORT.example.com:3080")) == profile


def test_a_login_elsewhere_is_none_here(open_session: Opener) -> None:
    session = open_session(build_profile(), proxy="other.example.com")
    assert find_profile(session) is None
    with pytest.raises(NotFound, match="not logged in at other"):
        load_profile(session)


def test_a_login_that_is_broken_does_not_keep_anybody_from_logging_in_again(
    open_session: Opener, tmp_path: Path
) -> None:
    session = open_session(build_profile())
    for path in (tmp_path / "tsh" / "profiles").iterdir():
        path.write_text("half a lo")
    assert find_profile(session) is None


def test_in_a_folder_of_everybodys_nobody_is_asked_for_a_password(open_session: Opener, tmp_path: Path) -> None:
    session = open_session()
    (tmp_path / "tsh").mkdir()
    (tmp_path / "tsh").chmod(0o777)
    with pytest.raises(AccessDenied, match="chmod 700"):
        find_profile(session)


def test_another_users_login_is_not_used(open_session: Opener) -> None:
    session = open_session(build_profile(), user="bob")
    with pytest.raises(AccessDenied, match=r"alice is logged in at .*, and not bob"):
        load_profile(session)
