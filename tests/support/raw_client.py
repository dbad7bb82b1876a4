"""HTTPS requests as a stranger's tool would make them: any path, any body, any certificate."""

import http.client
import json
import ssl
from typing import Any

from support.cluster import AuthServer
from support.processes import PATIENCE
from teleport.api.client import build_identity_context
from teleport.api.identity import Identity
from teleport.web.tls import build_client_context


def build_context(auth: AuthServer, identity: Identity | None) -> ssl.SSLContext:
    """Return the TLS context of a client with this identity, or of one that shows no certificate."""
    if identity is not None:
        return build_identity_context(identity)
    return build_client_context(ca_pems=auth.admin.host_ca_certificates)


def send(
    auth: AuthServer,
    path: str,
    body: object = None,
    *,
    identity: Identity | None = None,
    method: str = "POST",
) -> tuple[int, dict[str, Any]]:
    """Return status and document of an answer; a body that is not bytes is sent as JSON."""
    raw = body if isinstance(body, bytes) else json.dumps(body or {}).encode()
    context = build_context(auth, identity)
    connection = http.client.HTTPSConnection(auth.address.host, auth.address.port, context=context, timeout=PATIENCE)
    try:
        connection.request(method, path, raw if method == "POST" else None, {"Content-Type": "application/json"})
        response = connection.getresponse()
        found: dict[str, Any] = json.loads(response.read())
        return response.status, found
    finally:
        connection.close()
