"""Which login a run of `tsh` means."""

from teleport.cli.profile import Profile
from teleport.cli.profile_store import ProfileStore, find_home
from teleport.cli.tsh.session import Session
from teleport.errors import AccessDenied, NotFound, StorageError


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


def _load(session: Session) -> Profile:
    store = open_store(session)
    return store.find(session.proxy) if session.proxy else store.load()
