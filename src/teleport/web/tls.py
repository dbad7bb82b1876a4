"""TLS contexts: TLS 1.3 only, nothing resumed, and only the protocols inside that are named."""

import os
import ssl
import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from teleport.errors import BadParameter

ALPN = "http/1.1"
_CURVE = "X25519"
"""One group, the cheapest: OpenSSL 3.5 would by default add a post-quantum one at a fifth more per handshake."""


def build_server_context(
    *,
    certificate_pem_chain: str,
    private_key_pem: str,
    client_ca_pems: Iterable[str],
    protocols: Sequence[str] = (ALPN,),
    is_public: bool = False,
) -> ssl.SSLContext:
    """Build the context for new connections to a server whose clients may show a certificate, and need not.

    A client certificate that none of the authorities issued fails the handshake; it does not become "no certificate".
    No session tickets are given out: a resumed session would outlive the authority that its certificate came from.

    Args:
        certificate_pem_chain: the server's.
        private_key_pem: its key.
        client_ca_pems: the authorities of client certificates.
        protocols: what may run inside (ALPN), the preferred one first.
        is_public: other people's programs are clients, too, so every group that the library knows is welcome.

    Raises:
        BadParameter: a certificate or the key is not PEM, or they do not fit together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.verify_mode = ssl.CERT_OPTIONAL
    context.num_tickets = 0
    if not is_public:
        with suppress(ssl.SSLError):  # Python before 3.11.4 knows no X25519 here; the library's default serves as well
            context.set_ecdh_curve(_CURVE)
    _restrict(context, protocols)
    _load_authorities(context, client_ca_pems)
    _load_identity(context, certificate_pem_chain, private_key_pem)
    return context


def build_client_context(
    *,
    ca_pems: Iterable[str],
    certificate_pem_chain: str | None = None,
    private_key_pem: str | None = None,
    protocols: Sequence[str] = (ALPN,),
) -> ssl.SSLContext:
    """Build the context of a client that trusts the given authorities and checks the name it is told to expect.

    Args:
        ca_pems: the authorities.
        certificate_pem_chain: the client's own, where it has one.
        private_key_pem: its key.
        protocols: what the client speaks (ALPN).

    Raises:
        BadParameter: a certificate or the key is not PEM, or they do not fit together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    _restrict(context, protocols)
    _load_authorities(context, ca_pems)
    if certificate_pem_chain is not None and private_key_pem is not None:
        _load_identity(context, certificate_pem_chain, private_key_pem)
    return context


def build_unverified_client_context() -> ssl.SSLContext:
    """Build the context of a client that trusts nobody yet and must check a CA pin before it sends anything."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    _restrict(context)
    return context


def build_web_client_context(
    protocols: Sequence[str],
    *,
    is_verified: bool = True,
    certificate_pem_chain: str | None = None,
    private_key_pem: str | None = None,
) -> ssl.SSLContext:
    """Build the context of a client of whatever stands at a public address, which may be somebody's load balancer.

    The authorities are the system's, or those that the environment names (SSL_CERT_FILE, SSL_CERT_DIR).

    Args:
        protocols: what the client speaks (ALPN), the preferred one first.
        is_verified: whether the certificate is looked at; without that nobody knows who answers.
        certificate_pem_chain: the client's own, where it has one.
        private_key_pem: its key.

    Raises:
        BadParameter: the client's certificate or key is not PEM, or they do not fit together.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(protocols)
    if is_verified:
        context.load_default_certs(ssl.Purpose.SERVER_AUTH)
    else:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if certificate_pem_chain is not None and private_key_pem is not None:
        _load_identity(context, certificate_pem_chain, private_key_pem)
    return context


def _restrict(context: ssl.SSLContext, protocols: Sequence[str] = (ALPN,)) -> None:
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.options |= ssl.OP_NO_COMPRESSION
    context.set_alpn_protocols(protocols)


def _load_authorities(context: ssl.SSLContext, pems: Iterable[str]) -> None:
    joined = "\n".join(pems)
    if not joined:
        return
    try:
        context.load_verify_locations(cadata=joined)
    except (ssl.SSLError, ValueError) as error:
        raise BadParameter("a CA certificate is not in PEM") from error


def _load_identity(context: ssl.SSLContext, certificate_pem_chain: str, private_key_pem: str) -> None:
    try:
        with _passing_file(certificate_pem_chain + "\n" + private_key_pem) as path:
            # The password keeps OpenSSL from asking at the terminal for one, should the key be encrypted.
            context.load_cert_chain(path, password="")
    except (ssl.SSLError, ValueError) as error:
        raise BadParameter("the certificate and the private key are not PEM or do not fit together") from error


@contextmanager
def _passing_file(text: str) -> Iterator[str]:
    """Yield a path to the text for a library that only reads files; on Linux the file never touches a disk."""
    if sys.platform == "linux":
        descriptor = os.memfd_create("identity", os.MFD_CLOEXEC)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            yield f"/proc/self/fd/{descriptor}"
    else:
        with tempfile.NamedTemporaryFile("w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            yield file.name
