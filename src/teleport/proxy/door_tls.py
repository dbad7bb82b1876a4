"""Which certificate a connection is shown: the name that the client asks for (SNI, RFC 6066) decides."""

import ssl
from collections.abc import Sequence

from teleport.api.identity import Identity
from teleport.api.messages import TrustBundle
from teleport.api.trust import SERVER_NAME
from teleport.pki.web_certificate import WebCertificate
from teleport.resources.authority import AuthorityType
from teleport.web.tls import build_server_context


class DoorTls:
    """The contexts of the public port; both sides of it can be replaced at any time, for connections to come.

    The proxy's certificate of the cluster is shown to who asks for the cluster's own name; everybody else, and who asks
    for nothing, sees a web certificate. Clients may show a certificate of the cluster in either case.

    Args:
        protocols: what may run inside (ALPN).
        identity: the proxy's.
        trust: whose client certificates are good.
        certificates: for the world outside; the first one is shown where none is for the name.

    Raises:
        BadParameter: a certificate and its key do not fit together.
    """

    def __init__(
        self,
        *,
        protocols: Sequence[str],
        identity: Identity,
        trust: TrustBundle,
        certificates: Sequence[WebCertificate],
    ) -> None:
        self._protocols = tuple(protocols)
        self._identity = identity
        self._trust = trust
        self._certificates = tuple(certificates)
        self._host, self._web = self._build_host(), self._build_web()

    def context(self) -> ssl.SSLContext:
        """Return the context for a new connection; it chooses another one when it knows the name."""
        return self._web[0][1]

    def host_context(self) -> ssl.SSLContext:
        """Return the context that shows the proxy's certificate of the cluster, whatever is asked for."""
        return self._host

    def replace_host(self, identity: Identity, trust: TrustBundle) -> None:
        """Show another certificate of the cluster, and believe other clients.

        Raises:
            BadParameter: the certificate and its key do not fit together.
        """
        self._identity, self._trust = identity, trust
        self._host, self._web = self._build_host(), self._build_web()

    def replace_web(self, certificates: Sequence[WebCertificate]) -> None:
        """Show other web certificates.

        Raises:
            BadParameter: a certificate and its key do not fit together; those from before stay.
        """
        previous, self._certificates = self._certificates, tuple(certificates)
        try:
            self._web = self._build_web()
        except Exception:
            self._certificates = previous
            raise

    def _choose(self, tls: ssl.SSLObject, server_name: str | None, _: ssl.SSLContext) -> None:
        name = (server_name or "").lower()
        if name == SERVER_NAME:
            tls.context = self._host
            return
        fitting = (context for certificate, context in self._web if certificate.covers(name))
        tls.context = next(fitting, self._web[0][1])

    def _build_host(self) -> ssl.SSLContext:
        # With its CA beside it, OpenSSL does not look for the issuer anew in every handshake.
        chain = self._identity.tls_certificate + self._identity.host_ca_certificates[0]
        return self._build(chain, self._identity.tls_key)

    def _build_web(self) -> list[tuple[WebCertificate, ssl.SSLContext]]:
        contexts = [
            (certificate, self._build(certificate.chain_pem, certificate.key_pem)) for certificate in self._certificates
        ]
        contexts[0][1].sni_callback = self._choose
        return contexts

    def _build(self, chain_pem: str, key_pem: str) -> ssl.SSLContext:
        return build_server_context(
            certificate_pem_chain=chain_pem,
            private_key_pem=key_pem,
            client_ca_pems=[*self._trust.tls[AuthorityType.HOST], *self._trust.tls[AuthorityType.USER]],
            protocols=self._protocols,
            is_public=True,
        )
