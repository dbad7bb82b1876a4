"""`tctl auth export`."""

import base64
import binascii
import hashlib
from urllib.parse import urlencode

import click

from teleport.api.messages import TrustBundle
from teleport.cli.tctl.cluster import ask, get_trust_bundle
from teleport.cli.tctl.session import Session, TctlCommand
from teleport.errors import AccessDenied, NotFound
from teleport.resources.authority import AuthorityType

_TLS_TYPES = {
    "tls-host": AuthorityType.HOST,
    "tls-user": AuthorityType.USER,
    "db": AuthorityType.DB,
    "saml-idp": AuthorityType.SAML_IDP,
}
_SSH_TYPES = {"user": AuthorityType.USER, "host": AuthorityType.HOST, "openssh": AuthorityType.OPENSSH}
DEFAULT_TYPES = ("user", "host")


@click.command(
    "export",
    cls=TctlCommand,
    examples=[
        "tctl auth export",
        "tctl auth export --type=host >> ~/.ssh/known_hosts",
        "tctl auth export --type=openssh > /etc/ssh/teleport_ca.pub",
        "tctl auth export --type=tls-host > ca.pem",
    ],
)
@click.option(
    "--type", "kind", type=click.Choice([*_SSH_TYPES, *_TLS_TYPES]), help="Which; the default is user and host."
)
@click.option("--fingerprint", help="Only the SSH key with this fingerprint, as SHA256:...")
@click.option("--keys", is_flag=True, help="Refused: private keys never leave the auth server.")
@click.pass_obj
def export(session: Session, *, kind: str | None, fingerprint: str | None, keys: bool) -> None:
    """Print the public keys of certificate authorities.

    They come as lines for OpenSSH, or as certificates for TLS.
    """
    if keys:
        raise AccessDenied("private keys of certificate authorities never leave the auth server")
    bundle = ask(session, get_trust_bundle)
    if kind in _TLS_TYPES:
        blocks = [certificate.strip() for certificate in bundle.tls.get(_TLS_TYPES[kind], ())]
    else:
        blocks = [
            line for each in ([kind] if kind else DEFAULT_TYPES) for line in _build_lines(bundle, each, fingerprint)
        ]
    if not blocks:
        raise NotFound("the cluster has no such key")
    click.echo("\n".join(blocks))


def _build_lines(bundle: TrustBundle, kind: str, fingerprint: str | None) -> list[str]:
    keys = [key.strip() for key in bundle.ssh.get(_SSH_TYPES[kind], ())]
    chosen = [key for key in keys if fingerprint is None or compute_fingerprint(key) == fingerprint]
    render = _render_known_hosts if kind == "host" else _render_authorized_keys
    return [render(bundle.cluster_name, key) for key in chosen]


def compute_fingerprint(line: str) -> str:
    """Return a key's fingerprint as `ssh-keygen -l` prints it; empty if the line holds no key."""
    try:
        blob = base64.b64decode(line.split()[1], validate=True)
    except (IndexError, binascii.Error):
        return ""
    return "SHA256:" + base64.b64encode(hashlib.sha256(blob).digest()).decode().rstrip("=")


def _render_known_hosts(cluster_name: str, key: str) -> str:
    return f"@cert-authority {cluster_name},*.{cluster_name} {key} type=host"


def _render_authorized_keys(cluster_name: str, key: str) -> str:
    return f"cert-authority {key} {urlencode({'clustername': cluster_name, 'type': 'user'})}"
