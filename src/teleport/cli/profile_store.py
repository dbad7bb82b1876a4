"""Where logins are kept: in `~/.tsh`, or what TELEPORT_HOME names, where their user alone may read them.

`current-profile` names the proxy that is meant where none is named. `profiles/<proxy>.json` is a login, written as a
whole. For programs that open an application, `apps/<proxy>/<app>.pem` is key and certificate, `<app>.ca.pem` are the
cluster's authorities.
"""

import os
import shutil
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from pydantic import ValidationError

from teleport.cli.profile import HTTPS_PORT, Profile
from teleport.config.applications import parse_app_name
from teleport.errors import AccessDenied, BadParameter, NotFound, StorageError, TeleportError
from teleport.private_file import write_private_file
from teleport.resources.address import Address, parse_address

HOME_VARIABLE = "TELEPORT_HOME"
MAX_FILE_BYTES = 512 * 1024
MAX_PROFILES = 1000
PROXY_PORTS = (HTTPS_PORT, 3080)
"""Where a proxy is looked for whose port is not named."""

_CURRENT = "current-profile"
_SUFFIX = ".json"
_FOLDER_MODE = 0o700
_OTHERS_WRITE = stat.S_IWGRP | stat.S_IWOTH


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
        self._home = home

    def load(self, proxy: Address | None = None) -> Profile:
        """Return the login at a proxy, or the one that was made last.

        Raises:
            NotFound: there is none.
            AccessDenied: the folder is not this user's alone.
            StorageError: the file cannot be read, or is no login.
        """
        self._check_private()
        address = proxy or self._find_current()
        if address is None:
            raise NotFound("not logged in: log in with `tsh login --proxy=HOST:443`")
        return self._load_file(self._find_file(address), address)

    def find(self, proxy: str) -> Profile:
        """Return the login at a proxy that is named as people type it.

        Raises:
            BadParameter: it is no address.
            NotFound: there is none.
            AccessDenied: the folder is not this user's alone.
            StorageError: the file cannot be read, or is no login.
        """
        candidates = list_candidates(proxy)
        address = next((each for each in candidates if self._find_file(each).exists()), candidates[0])
        return self.load(address)

    def list_all(self) -> list[Profile]:
        """Return all logins, by proxy; a file that is none is left out.

        Raises:
            AccessDenied: the folder is not this user's alone.
        """
        self._check_private()
        found = []
        for path in sorted(self._home.joinpath("profiles").glob(f"*{_SUFFIX}"))[:MAX_PROFILES]:
            with suppress(TeleportError):
                found.append(self._load_file(path))
        return found

    def store(self, profile: Profile) -> None:
        """Keep a login, in place of an older one at the same proxy, and mean it from now on.

        Raises:
            AccessDenied: the folder is not this user's alone.
            StorageError: it cannot be written.
        """
        with _translated(self._home):
            self._make_folder(self._home / "profiles")
            shutil.rmtree(self._find_apps(profile.address), ignore_errors=True)
            write_private_file(self._find_file(profile.address), profile.model_dump_json().encode())
            write_private_file(self._home / _CURRENT, f"{profile.address}\n".encode())

    def remove(self, proxy: Address) -> None:
        """Forget a login, and what was made of it for applications.

        Raises:
            StorageError: it cannot be removed.
        """
        with _translated(self._home):
            if self._find_apps(proxy).exists():
                shutil.rmtree(self._find_apps(proxy))
            self._find_file(proxy).unlink(missing_ok=True)
            if self._find_current() == proxy:
                self._home.joinpath(_CURRENT).unlink(missing_ok=True)

    def remove_all(self) -> None:
        """Forget all logins; what cannot be read as one goes as well.

        Raises:
            StorageError: one cannot be removed.
        """
        with _translated(self._home):
            for folder in (self._home / "apps", self._home / "profiles"):
                if folder.exists():
                    shutil.rmtree(folder)
            self._home.joinpath(_CURRENT).unlink(missing_ok=True)

    def store_app(self, profile: Profile, name: str) -> None:
        """Write what programs need to open an application.

        Raises:
            BadParameter: the name is no application's.
            AccessDenied: the folder is not this user's alone.
            StorageError: it cannot be written.
        """
        path, authorities = self.find_app_files(profile.address, name)
        identity = profile.identity
        with _translated(self._home):
            self._make_folder(path.parent.parent)
            self._make_folder(path.parent)
            write_private_file(authorities, "".join(identity.host_ca_certificates).encode())
            write_private_file(path, (identity.tls_key + identity.tls_certificate).encode())

    def remove_app(self, proxy: Address, name: str) -> bool:
        """Remove what was written for an application; return whether there was something.

        Raises:
            BadParameter: the name is no application's.
            StorageError: it cannot be removed.
        """
        path, authorities = self.find_app_files(proxy, name)
        with _translated(self._home):
            is_there = path.exists()
            path.unlink(missing_ok=True)
            authorities.unlink(missing_ok=True)
        return is_there

    def list_apps(self, proxy: Address) -> list[str]:
        """Return the names of the applications for which something was written."""
        names = (path.name.removesuffix(".pem") for path in self._find_apps(proxy).glob("*.pem"))
        return sorted(name for name in names if "." not in name)

    def find_app_files(self, proxy: Address, name: str) -> tuple[Path, Path]:
        """Return where key and certificate for an application are, and where the cluster's authorities.

        Raises:
            BadParameter: the name is no application's.
        """
        folder = self._find_apps(proxy)
        return folder / f"{parse_app_name(name)}.pem", folder / f"{name}.ca.pem"

    def _load_file(self, path: Path, proxy: Address | None = None) -> Profile:
        text = _read(path)
        if text is None:
            raise NotFound(f"not logged in at {proxy}: log in with `tsh login --proxy={proxy}`")
        profile = _parse(text, path)
        if self._find_file(profile.address) != path:
            raise StorageError(f"{path} is a login at {profile.proxy}: log in again with `tsh login`")
        return profile

    def _find_file(self, proxy: Address) -> Path:
        return self._home / "profiles" / f"{_name(proxy)}{_SUFFIX}"

    def _find_apps(self, proxy: Address) -> Path:
        return self._home / "apps" / _name(proxy)

    def _find_current(self) -> Address | None:
        text = _read(self._home / _CURRENT)
        if text is None:
            return None
        try:
            return parse_address(text, HTTPS_PORT)
        except BadParameter as error:
            raise StorageError(f"{self._home / _CURRENT} does not name a proxy: log in again") from error

    def _make_folder(self, path: Path) -> None:
        self._home.mkdir(mode=_FOLDER_MODE, parents=True, exist_ok=True)
        self._check_private()
        path.mkdir(mode=_FOLDER_MODE, exist_ok=True)

    def _check_private(self) -> None:
        """Refuse a folder into which others may put a login of theirs."""
        try:
            found = self._home.stat()
        except FileNotFoundError:
            return
        if found.st_uid != os.geteuid() or found.st_mode & _OTHERS_WRITE:
            raise AccessDenied(f"{self._home} must belong to you, and nobody else may write there: chmod 700 it")


@contextmanager
def _translated(home: Path) -> Iterator[None]:
    """Turn what the system says about a folder into an error of ours."""
    try:
        yield
    except OSError as error:
        raise StorageError(f"cannot keep logins in {home}: {error.strerror}") from error


def _read(path: Path) -> str | None:
    """Return a file's text, or None if there is no such file.

    Raises:
        StorageError: it cannot be read, or is no file of ours.
    """
    try:
        with path.open("rb") as file:
            is_file = stat.S_ISREG(os.fstat(file.fileno()).st_mode)
            raw = file.read(MAX_FILE_BYTES + 1) if is_file else b""
    except FileNotFoundError:
        return None
    except OSError as error:
        raise StorageError(f"cannot read {path}: {error.strerror}") from error
    if not is_file or len(raw) > MAX_FILE_BYTES:
        raise StorageError(f"{path} is no regular file of at most {MAX_FILE_BYTES} bytes")
    return raw.decode(errors="replace")


def _parse(text: str, path: Path) -> Profile:
    try:
        profile = Profile.model_validate_json(text)
        parse_address(profile.proxy, HTTPS_PORT)
    except (ValidationError, BadParameter) as error:
        raise StorageError(f"{path} is no login: remove it, or log in again with `tsh login`") from error
    return profile


def _name(proxy: Address) -> str:
    """Return the name of a proxy's files: a colon would be the border of a password for `curl --cert`."""
    return str(proxy).replace(":", "_")
