"""A TLS server of somebody else: it makes its own CA, imitates auth, and writes down all that it is told."""

import json
import socket
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from support.rogue_listener import RogueListener
from teleport.api.identity import Identity
from teleport.pki.authority import TlsSigner, create_tls_authority
from teleport.pki.keys import generate_private_key, private_key_to_pem
from teleport.pki.pins import ca_pin
from teleport.pki.templates import HostTemplate, build_host_names
from teleport.resources.role import SystemRole
from teleport.version import VERSION
from teleport.web.tls import build_server_context

DAY = timedelta(days=1)
HOST_ID = "8b6d2f6e-4f0c-4a52-9b8c-0d8a8c0f3f11"


class RogueServer(RogueListener):
    """Listens on a port of its own for the time of a block.

    Args:
        cluster_name: what it says it is.
        shown: the CA certificates that it claims for its own; by default those that it made.
        hangs_up: whether it closes every connection after its first answer.
        identity: whose certificate it shows, in place of one of its own CA.
    """

    def __init__(
        self, cluster_name: str, *, shown: Sequence[str] = (), hangs_up: bool = False, identity: Identity | None = None
    ) -> None:
        super().__init__()
        now = datetime.now(UTC)
        pair = create_tls_authority(cluster_name, not_before=now - DAY, not_after=now + DAY)
        self._cluster_name = cluster_name
        self._shown = list(shown) or [pair.certificate]
        self._hangs_up = hangs_up
        self.pin = ca_pin(pair.certificate)
        self._context = (
            _build_context(TlsSigner(pair), cluster_name, now)
            if identity is None
            else build_server_context(
                certificate_pem_chain=identity.tls_certificate,
                private_key_pem=identity.tls_key,
                client_ca_pems=identity.host_ca_certificates,
            )
        )

    def talk(self, accepted: socket.socket) -> None:
        with self._context.wrap_socket(accepted, server_side=True) as connection:
            while chunk := connection.recv(65536):
                self.received += chunk
                if chunk.endswith(b"\r\n\r\n"):
                    connection.sendall(self._render_trust())
                    if self._hangs_up:
                        return

    def _render_trust(self) -> bytes:
        answer = {
            "cluster_name": self._cluster_name,
            "server_version": VERSION,
            "host_ca_certificates": self._shown,
        }
        body = json.dumps(answer).encode()
        return b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(body), body)


def _build_context(signer: TlsSigner, cluster_name: str, now: datetime) -> ssl.SSLContext:
    """Return what a true auth server would show, but for the CA that it comes from."""
    key = generate_private_key()
    names, addresses = build_host_names(SystemRole.AUTH, cluster_name=cluster_name, host_id=HOST_ID)
    template = HostTemplate(
        cluster_name=cluster_name,
        host_id=HOST_ID,
        role=SystemRole.AUTH,
        system_roles=(),
        dns_names=names,
        ip_addresses=addresses,
        not_before=now - DAY,
        not_after=now + DAY,
    )
    leaf = signer.sign(template, key.public_key()).pem
    return build_server_context(certificate_pem_chain=leaf, private_key_pem=private_key_to_pem(key), client_ca_pems=())
