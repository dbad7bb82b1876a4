"""A proxy of real processes: one that joins an auth server, and what strangers see of its public port."""

import socket
import ssl
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.cluster import AuthServer
from support.processes import PATIENCE, Process, Processes, wait_until
from teleport.pki.web_certificate import WebCertificate, read_web_certificate
from teleport.resources.address import Address
from teleport.resources.strict_yaml import render_yaml


@dataclass(slots=True)
class Proxy:
    """A proxy on this machine; `start` and its like may be called again and again."""

    processes: Processes
    folder: Path
    auth: AuthServer
    proxy_service: dict[str, Any] = field(default_factory=dict)
    teleport: dict[str, Any] = field(default_factory=dict)
    roles: str = "proxy"
    """What its token is for."""
    sections: dict[str, Any] = field(default_factory=dict)
    """Further sections of its configuration."""
    public_host: str = ""
    """By which others know it, at its own port."""
    address: Address = field(init=False)
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        self.address = self.processes.reserve_address()
        diag = self.processes.reserve_address()
        config = self.folder / "teleport.yaml"
        self.process = Process(("teleport", "start", f"--config={config}"), log=self.folder / "proxy.log", diag=diag)
        self.processes.add(self.process)
        token = self.auth.add_token(self.roles)
        public = {"public_addr": f"{self.public_host}:{self.address.port}"} if self.public_host else {}
        document = {
            "version": "v3",
            "teleport": {
                "nodename": self.folder.name,
                "data_dir": str(self.data_dir),
                "diag_addr": str(diag),
                "auth_server": str(self.auth.address),
                "ca_pin": self.auth.get_pin(),
                "join_params": {"method": "token", "token_name": token},
                **self.teleport,
            },
            "auth_service": {"enabled": "no"},
            "ssh_service": {"enabled": "no"},
            "proxy_service": {"enabled": "yes", "web_listen_addr": str(self.address), **public, **self.proxy_service},
            **self.sections,
        }
        config.write_text(render_yaml(document))

    @property
    def data_dir(self) -> Path:
        """Return where its state is."""
        return self.folder / "data"

    def start(self) -> "Proxy":
        """Start it and wait until it is ready."""
        self.process.start()
        self.process.wait_for_status(200)
        return self

    @contextmanager
    def connect(
        self,
        *,
        name: str = "localhost",
        protocols: Sequence[str] = ("http/1.1",),
        context: ssl.SSLContext | None = None,
    ) -> Iterator[ssl.SSLSocket]:
        """Connect as a stranger does who believes whatever is shown."""
        context = context or build_credulous_context(protocols)
        with (
            socket.create_connection((self.address.host, self.address.port), timeout=PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname=name) as connection,
        ):
            yield connection

    def send(self, raw: bytes, **how: Any) -> bytes:
        """Send bytes and return everything that comes until the proxy closes."""
        with self.connect(**how) as connection:
            connection.sendall(raw)
            return read_all(connection)

    def get(self, target: str, *lines: str, method: str = "GET") -> tuple[int, str]:
        """Ask for a page; return status and body."""
        head = [f"{method} {target} HTTP/1.1", f"Host: {self.address}", "Connection: close", *lines, "", ""]
        answer = self.send("\r\n".join(head).encode())
        before, _, body = answer.partition(b"\r\n\r\n")
        return int(before.split(b" ", 2)[1]), body.decode()

    def look_at_certificate(self, name: str) -> WebCertificate:
        """Return what is shown to somebody who asks for a name."""
        with self.connect(name=name) as connection:
            der = connection.getpeercert(binary_form=True)
        assert der is not None
        return read_web_certificate(ssl.DER_cert_to_PEM_cert(der), "")

    def wait_for_certificate(self, name: str, shown: str) -> None:
        """Wait until a certificate for this name is shown."""
        wait_until(lambda: shown in self.look_at_certificate(name).names, f"{shown} is shown", pause=0.2)


def build_credulous_context(protocols: Sequence[str] = ("http/1.1",)) -> ssl.SSLContext:
    """Return the context of a client that believes everybody."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


def read_all(connection: ssl.SSLSocket) -> bytes:
    """Read until the other side closes, however it does so."""
    received = b""
    with suppress(OSError):
        while chunk := connection.recv(65536):
            received += chunk
    return received
