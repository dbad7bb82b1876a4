"""An application as a user of `tsh` sees it: where it is, and how programs open it."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from teleport.api.client import Client
from teleport.api.operations import APPS_LIST
from teleport.api.people import AppInfo, AppsListRequest
from teleport.cli.profile import HTTPS_PORT, Profile
from teleport.errors import BadParameter, NotFound
from teleport.resources.address import Address, parse_address

TCP = "TCP"


@dataclass(frozen=True, slots=True)
class Application:
    """An application that may be opened, and its name in the world.

    Args:
        info: what auth says of it.
        host: the host name by which browsers and programs open it at the proxy.
        port: the proxy's, as the world knows it.
    """

    info: AppInfo
    host: str
    port: int

    @property
    def name(self) -> str:
        """Return its name."""
        return self.info.name

    @property
    def kind(self) -> str:
        """Return what is spoken with it, as the original's tables say it."""
        return TCP if self.info.uri.startswith("tcp:") else "HTTP"

    @property
    def authority(self) -> str:
        """Return host and port as a Host header has them."""
        return self.host if self.port == HTTPS_PORT else f"{self.host}:{self.port}"

    @property
    def url(self) -> str:
        """Return where it is opened."""
        return f"{'tcp' if self.kind == TCP else 'https'}://{self.authority}"

    @property
    def texts(self) -> tuple[str, ...]:
        """Return where words are looked for, beside the labels."""
        return (self.name, self.info.description, self.kind, self.host)


def build_application(info: AppInfo, profile: Profile) -> Application:
    """Return an application by the names of a login's proxy: what has no address of its own is below the proxy's."""
    public = _parse_told(profile.public_addr) or profile.address
    own = _parse_told(info.public_addr)
    return Application(info, own.host.lower() if own else f"{info.name}.{public.host}", public.port)


def _parse_told(address: str) -> Address | None:
    """Return an address that others have told, or None if it is none."""
    try:
        return parse_address(address, HTTPS_PORT) if address else None
    except BadParameter:
        return None


async def load_applications(client: Client, profile: Profile) -> list[Application]:
    """Return what the user may open, by name."""
    answer = await client.call(APPS_LIST, AppsListRequest())
    return [build_application(info, profile) for info in answer.apps]


def choose_application(applications: Sequence[Application], name: str) -> Application:
    """Return the application of a name.

    Raises:
        NotFound: there is none that this user may open.
    """
    found = next((each for each in applications if each.name == name), None)
    if found is None:
        raise NotFound(f"there is no application {name!r} that you may open; `tsh apps ls` lists them")
    return found


def render_curl(application: Application, profile: Profile, pem: Path, *, is_insecure: bool) -> str:
    """Return a command that opens an application, by the proxy of the login, whatever the names resolve to."""
    host, port = application.host, application.port
    flags = [
        f"--cert {quote(_escape_colons(pem))}",
        f"--key {quote(str(pem))}",
        f"--connect-to {quote(f'{host}:{port}:{profile.proxy}')}",
        *(["--insecure"] if is_insecure else []),
        quote(application.url),
    ]
    return "curl \\\n  " + " \\\n  ".join(flags)


def _escape_colons(path: Path) -> str:
    """Return a path as curl's `--cert` wants it: behind a colon it expects a password."""
    return str(path).replace("\\", "\\\\").replace(":", "\\:")
