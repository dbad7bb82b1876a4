"""Where the API server is, and by which token this process is known to it."""

import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

from teleport.clock import Clock
from teleport.kube.errors import BadAnswer

POD_FOLDER = Path("/var/run/secrets/kubernetes.io/serviceaccount")
HOST_VARIABLE = "KUBERNETES_SERVICE_HOST"
PORT_VARIABLE = "KUBERNETES_SERVICE_PORT"
MAX_TOKEN_BYTES = 16 * 1024
MAX_CA_BYTES = 256 * 1024
REREAD_PAUSE = timedelta(seconds=1)

_TOKEN = re.compile(r"[A-Za-z0-9._~+/=-]+")
"""RFC 6750, 2.1: nothing that could end a header."""


@dataclass(frozen=True, slots=True)
class ApiServer:
    """An API server and the files that say how to talk to it."""

    url: str
    ca_file: Path | None
    """None where the address is not HTTPS, as that of `kubectl proxy`."""
    token_file: Path | None
    """None where somebody else says who asks, or a certificate does."""
    client_certificate: tuple[Path, Path] | None = None
    """With its key, in PEM; people have one where a pod has a token."""

    def load_trust(self, context: ssl.SSLContext) -> None:
        """Let a context trust the authorities that stand in the CA file now, beside those that it trusts already.

        Raises:
            BadAnswer: the file cannot be read, or holds no certificate.
        """
        if self.ca_file is None:
            return
        text = read_bounded(self.ca_file, MAX_CA_BYTES)
        try:
            context.load_verify_locations(cadata=text)
        except (ssl.SSLError, ValueError) as error:
            raise BadAnswer(f"{self.ca_file} holds no CA certificate") from error

    def load_certificate(self, context: ssl.SSLContext) -> None:
        """Let a context show the client certificate, where there is one.

        Raises:
            BadAnswer: a file cannot be read, or they do not fit together.
        """
        if self.client_certificate is None:
            return
        certificate, key = self.client_certificate
        try:
            context.load_cert_chain(certificate, key, password="")
        except (OSError, ValueError) as error:
            raise BadAnswer(f"{certificate} and {key} are no certificate with its key") from error


def find_in_cluster(environ: Mapping[str, str], folder: Path = POD_FOLDER) -> ApiServer | None:
    """Return the API server of the cluster in which this process is a pod, or None if it is no pod."""
    host, port = environ.get(HOST_VARIABLE), environ.get(PORT_VARIABLE)
    if not host or not port:
        return None
    shown = f"[{host}]" if ":" in host else host
    return ApiServer(f"https://{shown}:{port}", folder / "ca.crt", folder / "token")


class TokenFile:
    """This process's own ServiceAccount token; the kubelet replaces the file, so it is read again and again.

    Args:
        path: of the file; None where there is none.
        clock: for the age of what was read.
    """

    def __init__(self, path: Path | None, clock: Clock) -> None:
        self._path = path
        self._clock = clock
        self._token = ""
        self._read_at: float | None = None

    def read(self) -> str:
        """Return the present token, or nothing without a file; it is looked at once a second at most.

        Raises:
            BadAnswer: the file is not there, too large, or holds no token.
        """
        if self._path is None:
            return ""
        now = self._clock.monotonic()
        if self._read_at is None or now - self._read_at >= REREAD_PAUSE.total_seconds():
            token = read_bounded(self._path, MAX_TOKEN_BYTES).strip()
            if not _TOKEN.fullmatch(token):
                raise BadAnswer(f"{self._path} holds no ServiceAccount token")
            self._token, self._read_at = token, now
        return self._token

    def forget(self) -> None:
        """Look at the file the next time, however soon that is: the API server did not like the token."""
        self._read_at = None


def read_bounded(path: Path, limit: int) -> str:
    """Return the text of a file of the pod.

    Raises:
        BadAnswer: it cannot be read, or is larger than the limit.
    """
    try:
        with path.open("rb") as file:
            raw = file.read(limit + 1)
    except OSError as error:
        raise BadAnswer(f"cannot read {path}: {error.strerror}") from error
    if len(raw) > limit:
        raise BadAnswer(f"{path} is larger than {limit} bytes")
    return raw.decode("utf-8", errors="replace")
