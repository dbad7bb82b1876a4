"""Which login a run of `tsh` means."""

from teleport.cli.profile import HTTPS_PORT, Profile
from teleport.cli.profile_store import ProfileStore, find_home
from teleport.cli.tsh.session import Session
from teleport.errors import AccessDenied, NotFound, StorageError
from teleport.resources.address import Address, parse_address

PROXY_PORTS = (HTTPS_PORT, 3080)
"""Where a proxy is looked for whose port is not named."""


def open_store(session: Session) -> ProfileStore:
    """Return this user's logins."""
    return ProfileStore(find_home(session.environ))


def find_profile(session: Session) -> Profile | None:
    """Return the login at the named proxy, or the one that was made last; None if there is none that can be read.

    Raises:
        AccessDenied: the folder is not this user's alone.
    """
    try:
        return _load(session)
    except (NotFound, StorageError):
        return None


def load_profile(session: Session) -> Profile:
    """Return the login that is meant, whether it is still good or not.

    Raises:
        NotFound: there is none.
        AccessDenied: it is another user's than the one that is named.
    """
    profile = _load(session)
    if session.user and profile.user != session.user:
        raise AccessDenied(
            f"{profile.user} is logged in at {profile.proxy}, and not {session.user}: log in with "
            f"`tsh login --proxy={profile.proxy} --user={session.user}`"
        )
    return profile


def list_candidates(text: str) -> list[Address]:
    """Return where a proxy may be: at its port, or at those that proxies have where none is named.

    Raises:
        BadParameter: it is no address.
    """
    return list(dict.fromkeys(parse_address(text.strip().lower(), port) for port in PROXY_PORTS))


def _load(session: Session) -> Profile:
    store = open_store(session)
    if not session.proxy:
        return store.load()
    candidates = list_candidates(session.proxy)
    known = {profile.address: profile for profile in store.list_all()}
    found = next((known[address] for address in candidates if address in known), None)
    return found or store.load(candidates[0])
