"""What poses as a proxy: it ends TLS with whatever certificate it has, and leads where it likes, or nowhere."""

import select
import socket
import ssl
from pathlib import Path
from tempfile import TemporaryDirectory

from support.rogue_listener import RogueListener
from support.tls_certificates import Leaf
from teleport.api.forwarding import AUTH_ALPN
from teleport.resources.address import Address


class RogueProxy(RogueListener):
    """Listens on a port of its own for the time of a block.

    Args:
        leaf: the web certificate that it shows.
    """

    def __init__(self, leaf: Leaf) -> None:
        super().__init__()
        self.leads_to: Address | None = None
        self._context = _build_context(leaf)

    def talk(self, accepted: socket.socket) -> None:
        with self._context.wrap_socket(accepted, server_side=True) as outside:
            if self.leads_to is None:
                self.received += outside.recv(65536)
                return
            with socket.create_connection((self.leads_to.host, self.leads_to.port), timeout=10) as inside:
                _relay(outside, inside)


def _relay(outside: ssl.SSLSocket, inside: socket.socket) -> None:
    while True:
        ready = [outside] if outside.pending() else select.select([outside, inside], [], [], 10)[0]
        if not ready:
            return
        for end in ready:
            data = end.recv(65536)
            if not data:
                return
            (inside if end is outside else outside).sendall(data)


def _build_context(leaf: Leaf) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.set_alpn_protocols([AUTH_ALPN])
    with TemporaryDirectory() as folder:
        file = Path(folder) / "web.pem"
        file.write_text(leaf.certificate_pem + leaf.key_pem)
        context.load_cert_chain(file)
    return context
