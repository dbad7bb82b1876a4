"""Where logins are kept: in `~/.tsh`, or what TELEPORT_HOME names.

`current-profile` names the proxy that is meant where none is named. `profiles/<proxy>.json` is a login, written as a
whole or not at all. What other programs need to open applications is below `apps/`.
"""

import shutil
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from pydantic import ValidationError

from teleport.cli.app_files import AppFiles
from teleport.cli.private_home import PrivateHome, name_files, read_file
from teleport.cli.profile import HTTPS_PORT, Profile
from teleport.errors import BadParameter, NotFound, StorageError, TeleportError
from teleport.private_file import write_private_file
from teleport.resources.address import Address, parse_address

HOME_VARIABLE = "TELEPORT_HOME"
MAX_PROFILES = 1000
PROXY_PORTS = (HTTPS_PORT, 3080)
"""Where a proxy is looked for whose port is not named."""

_CURRENT = "current-profile"
_FOLDER = "profiles"
_SUFFIX = ".json"


def find_home(environ: Mapping[str, str]) -> Path:
    """Return where logins of this user are.

    Raises:
        BadParameter: nothing says where the user's home is.
    """
    if named := environ.get(HOME_VARIABLE):
        return Path(named)
    try:
        return Path.home() / ".tsh"
    except RuntimeError as error:
        raise BadParameter(f"this user has no home directory: set {HOME_VARIABLE}") from error


def list_candidates(proxy: str) -> list[Address]:
    """Return where a proxy may be: at its port, or at those that proxies have where none is named.

    Raises:
        BadParameter: it is no address.
    """
    return list(dict.fromkeys(parse_address(proxy.strip().lower(), port) for port in PROXY_PORTS))


class ProfileStore:
    """The logins of one user of this machine.

    Args:
        home: the folder of all of them; it is made when it is needed.
    """

    def __init__(self, home: Path) -> None:
        self._home = PrivateHome(home)
        self.apps = AppFiles(self._home)

    def load(self, proxy: Address | None = None) -> Profile:
        """Return the login at a proxy, or the one that was made last.

        Raises:
            NotFound: there is none.
            AccessDenied: the folder is not this user's alone.
            StorageError: the file cannot be read, or is no login.
        """
        self._home.check()
        address = proxy or self._find_current()
        if address is None:
            raise NotFound("not logged in: log in with `tsh login --proxy=HOST:443`")
        profile = self._load_file(self._find_file(address))
        if profile is None:
            raise NotFound(f"not logged in at {address}: log in with `tsh login --proxy={address}`")
        return profile

    def find(self, proxy: str) -> Profile:
        """Return the login at a proxy that is named as people type it.

        Raises:
            BadParameter: it is no address.
            NotFound: there is none.
            AccessDenied: the folder is not this user's alone.
            StorageError: the file cannot be read, or is no login.
        """
        candidates = list_candidates(proxy)
        return self.load(next((each for each in candidates if self._find_file(each).exists()), candidates[0]))

    def list_all(self) -> list[Profile]:
        """Return all logins, by proxy; a file that is none is left out.

        Raises:
            AccessDenied: the folder is not this user's alone.
        """
        self._home.check()
        found = []
        for path in sorted(self._home.path.joinpath(_FOLDER).glob(f"*{_SUFFIX}"))[:MAX_PROFILES]:
            with suppress(TeleportError):
                found.append(self._load_file(path))
        return [profile for profile in found if profile is not None]

    def store(self, profile: Profile) -> None:
        """Keep a login, in place of an older one at the same proxy, and mean it from now on.

        Raises:
            AccessDenied: the folder is not this user's alone.
            StorageError: it cannot be written.
        """
        with self._home.changing():
            self._home.make(_FOLDER)
            self.apps.remove_all(profile.address)
            write_private_file(self._find_file(profile.address), profile.model_dump_json().encode())
            write_private_file(self._home.path / _CURRENT, f"{profile.address}\n".encode())

    def remove(self, proxy: Address) -> None:
        """Forget a login, and what was made of it for applications.

        Raises:
            StorageError: it cannot be removed.
        """
        with self._home.changing():
            self.apps.remove_all(proxy)
            self._find_file(proxy).unlink(missing_ok=True)
            if self._find_current() == proxy:
                self._home.path.joinpath(_CURRENT).unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Forget all logins; what cannot be read as one goes as well.

        Raises:
            StorageError: one cannot be removed.
        """
        with self._home.changing():
            self.apps.remove_all()
            folder = self._home.path / _FOLDER
            if folder.exists():
                shutil.rmtree(folder)
            self._home.path.joinpath(_CURRENT).unlink(missing_ok=True)

    def _find_file(self, proxy: Address) -> Path:
        return self._home.path / _FOLDER / f"{name_files(proxy)}{_SUFFIX}"

    def _find_current(self) -> Address | None:
        path = self._home.path / _CURRENT
        text = read_file(path)
        try:
            return parse_address(text, HTTPS_PORT) if text is not None else None
        except BadParameter as error:
            raise StorageError(f"{path} does not name a proxy: log in again") from error

    def _load_file(self, path: Path) -> Profile | None:
        text = read_file(path)
        if text is None:
            return None
        try:
            profile = Profile.model_validate_json(text)
            expected = self._find_file(profile.address)
        except (ValidationError, BadParameter) as error:
            raise StorageError(f"{path} is no login: remove it, or log in again with `tsh login`") from error
        if expected != path:
            raise StorageError(f"{path} is a login at {profile.proxy}: log in again with `tsh login`")
        return profile
