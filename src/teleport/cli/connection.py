"""Finding the cluster, and proving to it who asks: by an identity file, as this host's administrator, or by a login."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import click

from teleport.api.client import Client, connect
from teleport.api.identity import Identity, load_identity
from teleport.api.way import ThroughProxy, Way, choose_way
from teleport.cli.flags import ClusterFlags
from teleport.cli.profile import Profile
from teleport.cli.profile_store import ProfileStore, find_home
from teleport.clock import Clock, SystemClock
from teleport.config.load import load_settings
from teleport.config.settings import AUTH_PORT, DEFAULT_CONFIG_PATH, DEFAULT_DATA_DIR, PROXY_WEB_PORT
from teleport.config.source import FILE_VARIABLE, Source, load_source
from teleport.errors import AccessDenied, BadParameter, ConnectionFailed, NotFound
from teleport.resources.address import Address, parse_address
from teleport.version import VERSION

ADMIN_IDENTITY = "admin.identity"
"""What auth leaves in its data directory at start, for whoever may read there."""

_REMEDY = "log in with `tsh login`, or give --proxy=HOST:443 or --auth-server=HOST:3025, and -i IDENTITY-FILE"
_LOOPBACK = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - where all interfaces are listened on, this one is dialled


@dataclass(frozen=True, slots=True)
class LocalAuth:
    """The auth server of this host, as its configuration describes it."""

    data_dir: Path
    address: Address
    is_configured: bool
    """A configuration says so; otherwise it is where one would be by default."""


@dataclass(frozen=True, slots=True)
class Target:
    """Where the cluster is, and who asks there."""

    way: Way
    identity: Identity
    is_local: bool


@asynccontextmanager
async def open_admin_client(flags: ClusterFlags) -> AsyncIterator[Client]:
    """Make a client of the cluster that the flags, or this host's configuration, lead to.

    Raises:
        NotFound: there is no identity; the message says how to give one.
        AccessDenied: the identity of this host is not for this user.
        ConnectionFailed: the auth server does not answer.
    """
    target = find_cluster(flags, os.environ, clock=SystemClock())
    try:
        async with connect(target.way, target.identity, version=_choose_version(flags)) as client:
            yield client
    except ConnectionFailed as error:
        if not target.is_local:
            raise
        raise ConnectionFailed(f"{error.message}; is the auth server running on this host?") from error


def _choose_version(flags: ClusterFlags) -> str:
    """Return the version that the cluster is told; none where it shall not look at it."""
    if not flags.skip_version_check:
        return VERSION
    click.echo(f"WARNING: the cluster may be too old or too new for this tool, version {VERSION}", err=True)
    return ""


def find_cluster(
    flags: ClusterFlags,
    environ: Mapping[str, str],
    *,
    clock: Clock,
    default_config: Path = DEFAULT_CONFIG_PATH,
    default_data_dir: Path = DEFAULT_DATA_DIR,
) -> Target:
    """Return the cluster of the identity file; without one, that of the auth server on this host, or of a login.

    The order is the original's: a configuration that enables an auth server hides logins.

    Raises:
        BadParameter: the flags do not go together, or a file cannot be understood.
        NotFound: there is neither an identity file nor an auth server nor a login.
        AccessDenied: a file is not for this user, or the login has expired.
    """
    if flags.auth_server and flags.proxy:
        raise BadParameter("--proxy and --auth-server exclude each other: the cluster is reached through one of them")
    way = choose_way(
        parse_address(flags.auth_server, AUTH_PORT) if flags.auth_server else None,
        parse_address(flags.proxy, PROXY_WEB_PORT) if flags.proxy else None,
        is_insecure=flags.insecure,
    )
    if flags.identity:
        if way is None:
            raise BadParameter("an identity file needs --auth-server=HOST:3025 or --proxy=HOST:443 beside it")
        return Target(way, load_identity(Path(flags.identity)), is_local=False)
    try:
        return _find_local(flags, environ, way, default_config=default_config, default_data_dir=default_data_dir)
    except _NobodyHere as error:
        profile = _find_profile(flags, environ)
        if profile is None:
            raise error.reason from error
    profile.check_valid(clock.now())
    through = ThroughProxy(profile.address, is_insecure=flags.insecure)
    return Target(way if way is not None and flags.auth_server else through, profile.identity, is_local=False)


class _NobodyHere(Exception):
    """No configuration says that there is an auth server on this host, and none is found."""

    def __init__(self, reason: NotFound | AccessDenied) -> None:
        super().__init__(reason)
        self.reason = reason


def _find_local(
    flags: ClusterFlags, environ: Mapping[str, str], way: Way | None, *, default_config: Path, default_data_dir: Path
) -> Target:
    """Return the cluster of the auth server on this host, and its administrator.

    Raises:
        _NobodyHere: a login may be meant instead.
        NotFound, AccessDenied, BadParameter: as `find_cluster`.
    """
    local = _find_local_auth(flags, environ, default_config, default_data_dir)
    try:
        identity = _load_admin_identity(local.data_dir)
    except (NotFound, AccessDenied) as error:
        if local.is_configured:
            raise
        raise _NobodyHere(error) from error
    return Target(way or local.address, identity, is_local=way is None)


def _find_profile(flags: ClusterFlags, environ: Mapping[str, str]) -> Profile | None:
    """Return the login at the named proxy, or the one that was made last; None if there is none."""
    store = ProfileStore(find_home(environ))
    try:
        return store.find(flags.proxy) if flags.proxy else store.load()
    except NotFound:
        return None


def _find_local_auth(
    flags: ClusterFlags, environ: Mapping[str, str], default_config: Path, default_data_dir: Path
) -> LocalAuth:
    named = environ.get(FILE_VARIABLE) if flags.config is None else flags.config
    if named == "":
        raise _NobodyHere(NotFound(f"no cluster is named: {_REMEDY}"))
    source = _load_source(Path(named) if named else None, environ, default_config)
    if source is None:
        return LocalAuth(default_data_dir, Address("127.0.0.1", AUTH_PORT), is_configured=False)
    settings = load_settings(source.text, hostname="localhost", origin=source.origin)
    if not settings.auth.enabled:
        raise _NobodyHere(NotFound(f"{source.origin} enables no auth server on this host: {_REMEDY}"))
    listening = settings.auth.listen_addr
    address = Address(_LOOPBACK.get(listening.host, listening.host), listening.port)
    return LocalAuth(settings.data_dir, address, is_configured=True)


def _load_source(named: Path | None, environ: Mapping[str, str], default_config: Path) -> Source | None:
    try:
        return load_source(config=named, config_string=None, environ=environ, default_path=default_config)
    except BadParameter as error:
        _check_permission(error)
        raise


def _check_permission(error: BadParameter) -> None:
    """Say what helps where a file is not for this user."""
    if isinstance(error.__cause__, PermissionError):
        raise AccessDenied(f"{error.message}; try again with sudo") from error


def _load_admin_identity(data_dir: Path) -> Identity:
    path = data_dir / ADMIN_IDENTITY
    try:
        return load_identity(path)
    except NotFound as error:
        raise NotFound(
            f"no auth server has been started on this host ({path} does not exist): "
            f"start one with `teleport start --roles=auth`, or {_REMEDY}"
        ) from error
    except BadParameter as error:
        _check_permission(error)
        raise
