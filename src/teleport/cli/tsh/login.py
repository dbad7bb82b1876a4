"""`tsh login`."""

import asyncio
import getpass
from datetime import timedelta
from pathlib import Path

import click

from teleport.api.identity import Identity, render_identity_file
from teleport.api.joined import Keys, generate_keys
from teleport.api.people import LoginCertificatesResponse
from teleport.api.web import WEB_LOGIN, ProxyPing, WebLoginRequest
from teleport.cli.escaping import escape
from teleport.cli.profile import Profile
from teleport.cli.tsh.cluster import find_proxy, open_web_client
from teleport.cli.tsh.profiles import find_profile, open_store
from teleport.cli.tsh.secret_input import read_secret
from teleport.cli.tsh.session import Session, TshCommand
from teleport.cli.tsh.status_text import render_profile
from teleport.errors import AlreadyExists, BadParameter, NotFound
from teleport.pki.ssh_permissions import read_ssh_permissions
from teleport.private_file import write_private_file
from teleport.resources.address import Address
from teleport.resources.authority import AuthorityType
from teleport.resources.user import check_user_name

LONGEST = timedelta(hours=12)
_MINUTE = timedelta(minutes=1)


@click.command(
    "login",
    cls=TshCommand,
    examples=[
        "tsh login --proxy=teleport.example.com --user=alice",
        "tsh login --ttl=60",
        "tsh login --proxy=teleport.example.com --user=alice --out=alice.identity",
    ],
)
@click.option(
    "--ttl",
    type=click.IntRange(1, LONGEST // _MINUTE),
    default=LONGEST // _MINUTE,
    show_default=True,
    help="Life of the certificates in minutes; a role may allow less.",
)
@click.option(
    "-o", "--out", type=click.Path(path_type=Path), help="Write an identity file for `tctl -i` instead of a profile."
)
@click.option(
    "--format", "_output_format", type=click.Choice(["file"]), default="file", show_default=True, help="Of that file."
)
@click.option("--overwrite", is_flag=True, help="Replace that file if it exists.")
@click.pass_obj
def login(session: Session, *, ttl: int, out: Path | None, _output_format: str, overwrite: bool) -> None:
    """Log in with a password and a code, and keep certificates until they expire.

    Who is logged in already is only shown how. Without a terminal, password and code are two lines of the input.
    """
    last = find_profile(session)
    if out is None and last is not None and _is_meant(session, last):
        _show(session, last)
        return
    user = session.user or (last.user if last is not None else _find_own_name())
    check_user_name(user)
    if out is not None:
        _check_place(out, overwrite=overwrite)
    session.proxy = session.proxy or (last.proxy if last is not None else "")
    profile = asyncio.run(_log_in(session, user, timedelta(minutes=ttl)))
    if out is not None:
        write_private_file(out, render_identity_file(profile.identity).encode())
        click.echo(f"The identity of {escape(user)} has been written to {out}", err=True)
        return
    open_store(session).store(profile)
    _show(session, profile)


def _check_place(out: Path, *, overwrite: bool) -> None:
    if not out.parent.is_dir():
        raise NotFound(f"there is no directory {out.parent}")
    if out.exists() and not overwrite:
        raise AlreadyExists(f"{out} exists already; choose another name or give --overwrite")


def _find_own_name() -> str:
    """Return the name that this machine's user has here.

    Raises:
        BadParameter: they have none.
    """
    try:
        return getpass.getuser()
    except (KeyError, OSError) as error:
        raise BadParameter("name the user: --user=NAME") from error


def _is_meant(session: Session, profile: Profile) -> bool:
    """Tell whether a login is still good, and the one of whoever wants to log in."""
    return session.user in ("", profile.user) and profile.is_valid(session.clock.now())


def _show(session: Session, profile: Profile) -> None:
    click.echo(render_profile(profile, session.clock.now()), nl=False)


async def _log_in(session: Session, user: str, ttl: timedelta) -> Profile:
    if not session.proxy:
        raise BadParameter("name the proxy: --proxy=HOST:443")
    if session.insecure:
        click.echo(f"WARNING: whoever answers at {session.proxy} is believed, and learns the password", err=True)
    proxy, told = await find_proxy(session)
    keys = generate_keys()
    request = WebLoginRequest(
        user=user,
        password=read_secret(f"Enter password for Teleport user {user}"),
        code=read_secret("Enter an OTP code from a device"),
        keys=keys.build_public_keys(user),
        ttl_seconds=int(ttl.total_seconds()),
    )
    async with open_web_client(proxy, is_insecure=session.insecure) as client:
        issued = await client.call(WEB_LOGIN, request)
    return build_profile(proxy, told, keys, issued)


def build_profile(proxy: Address, told: ProxyPing, keys: Keys, issued: LoginCertificatesResponse) -> Profile:
    """Return what is kept of a login.

    Raises:
        BadParameter: the certificate is none.
    """
    permissions = read_ssh_permissions(issued.ssh_certificate)
    return Profile(
        proxy=str(proxy),
        public_addr=told.proxy.ssh.public_addr,
        cluster_name=issued.trust.cluster_name,
        user=issued.user,
        roles=issued.roles,
        logins=permissions.logins,
        extensions=permissions.extensions,
        traits=issued.traits,
        valid_until=issued.expires,
        identity=Identity(
            tls_key=keys.tls_key,
            tls_certificate=issued.tls_certificate,
            ssh_key=keys.ssh_key,
            ssh_certificate=issued.ssh_certificate,
            host_ca_certificates=issued.trust.tls.get(AuthorityType.HOST, ()),
            ssh_ca_keys=issued.trust.ssh.get(AuthorityType.HOST, ()),
        ),
    )
