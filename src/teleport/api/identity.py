"""An identity: keys, the certificates that go with them, and the CAs by which the cluster is known.

The same text form serves the auth host's own administrator, `tctl auth sign --format=file` and `tctl -i`: PEM blocks
and SSH lines one after another, as the original's identity files have them.
"""

import os
import re
import stat
from pathlib import Path

from pydantic import Field

from teleport.api.messages import Line, Pem
from teleport.errors import BadParameter, NotFound
from teleport.resources.model import Model, parse_model

MAX_FILE_BYTES = 256 * 1024

_BLOCK = re.compile(r"-----BEGIN ([A-Z ]{1,40})-----[A-Za-z0-9+/=\s]{1,16384}-----END \1-----\n?")
_CERTIFICATE = "CERTIFICATE"
_TLS_KEY = "PRIVATE KEY"
_SSH_KEY = "OPENSSH PRIVATE KEY"


class Identity(Model):
    """Who somebody is, with all that is needed to prove it and to check who answers."""

    tls_key: Pem = Field(repr=False)
    tls_certificate: Pem
    ssh_key: Pem = Field(repr=False)
    ssh_certificate: Line
    host_ca_certificates: tuple[Pem, ...]
    """The TLS certificates of the cluster's host CA: whoever answers must hold a certificate from one of them."""
    ssh_ca_keys: tuple[Line, ...] = ()


def render_identity_file(identity: Identity) -> str:
    """Write the identity as one text, secrets included."""
    parts = [identity.tls_key, identity.tls_certificate, *identity.host_ca_certificates, identity.ssh_key]
    lines = [identity.ssh_certificate, *(f"@cert-authority * {key}" for key in identity.ssh_ca_keys)]
    return "".join(part.strip() + "\n" for part in [*parts, *lines])


def parse_identity_file(text: str) -> Identity:
    """Read an identity from its text.

    Raises:
        BadParameter: a part is missing or does not belong; no part is quoted, since most are secret.
    """
    blocks: dict[str, list[str]] = {}
    for match in _BLOCK.finditer(text):
        blocks.setdefault(match.group(1), []).append(match.group(0).strip() + "\n")
    keys, ssh_keys = blocks.pop(_TLS_KEY, []), blocks.pop(_SSH_KEY, [])
    certificates = blocks.pop(_CERTIFICATE, [])
    lines = [line.strip() for line in _BLOCK.sub("", text).splitlines() if line.strip()]
    prefix = "@cert-authority * "
    authorities = [line.removeprefix(prefix) for line in lines if line.startswith(prefix)]
    ssh_certificates = [line for line in lines if not line.startswith(prefix)]
    if blocks or len(keys) != 1 or len(ssh_keys) != 1 or len(ssh_certificates) != 1 or len(certificates) < 2:  # noqa: PLR2004 - leaf and CA
        raise BadParameter("not an identity file: make one with `tctl auth sign --user=NAME --format=file -o FILE`")
    parts = {
        "tls_key": keys[0],
        "tls_certificate": certificates[0],
        "ssh_key": ssh_keys[0],
        "ssh_certificate": ssh_certificates[0],
        "host_ca_certificates": certificates[1:],
        "ssh_ca_keys": authorities,
    }
    return parse_model(Identity, parts, "identity file")


def load_identity(path: Path) -> Identity:
    """Read an identity file.

    Raises:
        NotFound: there is no such file.
        BadParameter: it cannot be read, is no regular file, is too large, or is no identity.
    """
    try:
        with path.open("rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise BadParameter(f"identity file {path} is not a regular file")
            raw = file.read(MAX_FILE_BYTES + 1)
    except FileNotFoundError as error:
        raise NotFound(f"there is no identity file {path}") from error
    except OSError as error:
        raise BadParameter(f"cannot read identity file {path}: {error.strerror}") from error
    if len(raw) > MAX_FILE_BYTES:
        raise BadParameter(f"identity file {path} is larger than {MAX_FILE_BYTES} bytes")
    try:
        return parse_identity_file(raw.decode("ascii"))
    except UnicodeDecodeError as error:
        raise BadParameter(f"identity file {path} is not text") from error
    except BadParameter as error:
        raise BadParameter(f"identity file {path}: {error.message}") from error
