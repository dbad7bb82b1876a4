"""What `tsh apps login` writes for other programs: key and certificate in one file, and the cluster's authorities."""

import shutil
from pathlib import Path

from teleport.cli.private_home import PrivateHome, name_files
from teleport.cli.profile import Profile
from teleport.config.applications import parse_app_name
from teleport.private_file import write_private_file
from teleport.resources.address import Address

_FOLDER = "apps"


class AppFiles:
    """The files of all applications.

    Args:
        home: where they are.
    """

    def __init__(self, home: PrivateHome) -> None:
        self._home = home

    def store(self, profile: Profile, name: str) -> None:
        """Write what programs need to open an application.

        Raises:
            BadParameter: the name is no application's.
            AccessDenied: the home is not this user's alone.
            StorageError: it cannot be written.
        """
        path, authorities = self.find(profile.address, name)
        identity = profile.identity
        with self._home.changing():
            self._home.make(_FOLDER, name_files(profile.address))
            write_private_file(authorities, "".join(identity.host_ca_certificates).encode())
            write_private_file(path, (identity.tls_key + identity.tls_certificate).encode())

    def find(self, proxy: Address, name: str) -> tuple[Path, Path]:
        """Return where key and certificate for an application are, and where the cluster's authorities.

        Raises:
            BadParameter: the name is no application's.
        """
        folder = self._find_folder(proxy)
        return folder / f"{parse_app_name(name)}.pem", folder / f"{name}.ca.pem"

    def list_names(self, proxy: Address) -> list[str]:
        """Return the applications for which something was written."""
        names = (path.name.removesuffix(".pem") for path in self._find_folder(proxy).glob("*.pem"))
        return sorted(name for name in names if "." not in name)

    def remove(self, proxy: Address, name: str) -> bool:
        """Remove what was written for an application; return whether there was something.

        Raises:
            BadParameter: the name is no application's.
            StorageError: it cannot be removed.
        """
        path, authorities = self.find(proxy, name)
        with self._home.changing():
            is_there = path.exists()
            path.unlink(missing_ok=True)
            authorities.unlink(missing_ok=True)
        return is_there

    def remove_all(self, proxy: Address | None = None) -> None:
        """Remove everything, or what belongs to the login at one proxy.

        Raises:
            StorageError: it cannot be removed.
        """
        folder = self._home.path / _FOLDER if proxy is None else self._find_folder(proxy)
        with self._home.changing():
            if folder.exists():
                shutil.rmtree(folder)

    def _find_folder(self, proxy: Address) -> Path:
        return self._home.path / _FOLDER / name_files(proxy)
