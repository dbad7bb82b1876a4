"""`tctl auth sign`."""

from datetime import timedelta
from pathlib import Path

import click

from teleport.api.identity import Identity, render_identity_file
from teleport.api.messages import PublicKeys, UserCertificatesRequest, UserCertificatesResponse
from teleport.api.operations import USER_CERTIFICATES
from teleport.cli.params import parsed
from teleport.cli.tctl.cluster import ApiClient, ask
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.config.duration import parse_duration
from teleport.errors import AlreadyExists, BadParameter, NotFound
from teleport.pki import keys
from teleport.pki.csr import build_csr
from teleport.private_file import write_private_file
from teleport.resources.authority import AuthorityType
from teleport.resources.model import check_name

MIN_TTL = timedelta(minutes=1)
MAX_TTL = timedelta(days=10 * 365)
MAX_ROLES = 16


def parse_ttl(text: str) -> timedelta:
    """Read the life of an identity.

    Raises:
        BadParameter: no duration, or not between a minute and ten years.
    """
    ttl = parse_duration(text)
    if not MIN_TTL <= ttl <= MAX_TTL:
        raise BadParameter("an identity lives between one minute and ten years")
    return ttl


def parse_user_roles(text: str) -> tuple[str, ...]:
    """Read the comma-separated names of a user's roles.

    Raises:
        BadParameter: an empty name, or too many.
    """
    roles = tuple(dict.fromkeys(part.strip() for part in text.split(",")))
    if not all(roles) or len(roles) > MAX_ROLES:
        raise BadParameter(f"give between 1 and {MAX_ROLES} roles, separated by commas")
    return roles


@click.command(
    "sign",
    cls=TctlCommand,
    examples=[
        "tctl auth sign --user=ci --format=file -o ci.identity",
        "tctl auth sign --user=alice --roles=auditor --ttl=8h -o alice.identity",
        "tctl --auth-server=auth.example.com:3025 -i ci.identity status",
    ],
)
@click.option("--user", required=True, help="The name that audit shows.")
@click.option(
    "--roles", default="editor", show_default=True, callback=parsed(parse_user_roles), help="Roles of the user."
)
@click.option(
    "-o", "--out", required=True, type=click.Path(path_type=Path), help="The file to write; only you can read it."
)
@click.option("--ttl", default="12h", show_default=True, callback=parsed(parse_ttl), help="Life, as 8h or 30d.")
@click.option(
    "--format", "_output_format", type=click.Choice(["file"]), default="file", show_default=True, help="One file."
)
@click.option("--overwrite", is_flag=True, help="Replace the file if it exists.")
@click.pass_obj
def sign(
    session: Session,
    *,
    user: str,
    roles: tuple[str, ...],
    out: Path,
    ttl: timedelta,
    _output_format: str,
    overwrite: bool,
) -> None:
    """Make an identity file, with which `tctl -i` works from anywhere.

    The keys are made here; only their public halves go to the cluster.
    """
    check_name(user, "the user's name")
    if not out.parent.is_dir():
        raise NotFound(f"there is no directory {out.parent}")
    if out.exists() and not overwrite:
        raise AlreadyExists(f"{out} exists already; choose another name or give --overwrite")
    key, ssh_key = keys.generate_private_key(), keys.generate_ssh_private_key()
    request = UserCertificatesRequest(
        user=user,
        roles=roles,
        keys=PublicKeys(csr=build_csr(key, user), ssh_public_key=keys.ssh_public_key_line(ssh_key)),
        ttl_seconds=int(ttl.total_seconds()),
    )

    async def work(client: ApiClient) -> UserCertificatesResponse:
        return await client.call(USER_CERTIFICATES, request)

    signed = ask(session, work)
    identity = Identity(
        tls_key=keys.private_key_to_pem(key),
        tls_certificate=signed.tls_certificate,
        ssh_key=keys.ssh_private_key_to_pem(ssh_key),
        ssh_certificate=signed.ssh_certificate,
        host_ca_certificates=signed.trust.tls.get(AuthorityType.HOST, ()),
        ssh_ca_keys=signed.trust.ssh.get(AuthorityType.HOST, ()),
    )
    _store(out, identity, overwrite=overwrite)
    click.echo(f"The identity of {user} has been written to {out}")


def _store(path: Path, identity: Identity, *, overwrite: bool) -> None:
    try:
        write_private_file(path, render_identity_file(identity).encode(), overwrite=overwrite)
    except FileExistsError as error:
        raise AlreadyExists(f"{path} exists already; choose another name or give --overwrite") from error
