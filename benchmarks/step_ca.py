"""The same kind of join at a peer: step-ca signs a certificate for a one-time token, on a new connection each.

It runs where `step-ca` is on the PATH: `go install github.com/smallstep/certificates/cmd/step-ca@v0.30.2` brings it.
It issues one X.509 certificate and writes no audit event; we issue that, an SSH certificate and the event.
"""

import base64
import json
import shutil
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.x509.oid import NameOID

from harness import free_port, measure, pin_load, pinned_process, report, wait_for_port
from teleport.pki.csr import build_csr
from teleport.pki.keys import generate_private_key
from teleport.resources.address import Address
from wire import ask_once, build_context

PROVISIONER = "bench"
WARM_UP = 200
WORKERS = 16
_CREATED = 201


def encode(data: bytes) -> str:
    """Return base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def build_jwk(key: ec.EllipticCurvePrivateKey) -> dict[str, str]:
    """Return the public key as a JWK whose id is its thumbprint (RFC 7638)."""
    numbers = key.public_key().public_numbers()
    jwk = {"crv": "P-256", "kty": "EC", "x": encode(numbers.x.to_bytes(32)), "y": encode(numbers.y.to_bytes(32))}
    thumbprint = sha256(json.dumps(jwk, separators=(",", ":"), sort_keys=True).encode()).digest()
    return {**jwk, "use": "sig", "alg": "ES256", "kid": encode(thumbprint)}


def build_token(key: ec.EllipticCurvePrivateKey, subject: str, audience: str) -> str:
    """Return a one-time token for a subject."""
    now = int(time.time())
    claims = {"iss": PROVISIONER, "aud": [audience], "sub": subject, "sans": [subject], "iat": now, "nbf": now}
    claims |= {"exp": now + 300, "jti": subject}
    header = {"alg": "ES256", "typ": "JWT", "kid": build_jwk(key)["kid"]}
    signed = f"{encode(json.dumps(header).encode())}.{encode(json.dumps(claims).encode())}"
    r, s = decode_dss_signature(key.sign(signed.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{signed}.{encode(r.to_bytes(32) + s.to_bytes(32))}"


def build_ca(name: str, issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey] | None) -> tuple[
    x509.Certificate, ec.EllipticCurvePrivateKey
]:  # fmt: skip
    """Return a CA certificate and its key, self-signed or under another."""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    builder = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer[0].subject if issuer else subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=0 if issuer else 1), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(issuer[1] if issuer else key, hashes.SHA256()), key


def write_config(root: Path, port: int, provisioner: ec.EllipticCurvePrivateKey) -> Path:
    """Write what step-ca starts from."""
    top = build_ca("bench root", None)
    middle = build_ca("bench intermediate", top)
    pem = serialization.Encoding.PEM
    (root / "root.crt").write_bytes(top[0].public_bytes(pem))
    (root / "intermediate.crt").write_bytes(middle[0].public_bytes(pem))
    key = middle[1].private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    (root / "intermediate.key").write_bytes(key)
    config = {
        "root": str(root / "root.crt"),
        "crt": str(root / "intermediate.crt"),
        "key": str(root / "intermediate.key"),
        "address": f"127.0.0.1:{port}",
        "dnsNames": ["127.0.0.1"],
        "logger": {"format": "text"},
        "db": {"type": "badgerv2", "dataSource": str(root / "db")},
        "authority": {"provisioners": [{"type": "JWK", "name": PROVISIONER, "key": build_jwk(provisioner)}]},
    }
    path = root / "ca.json"
    path.write_text(json.dumps(config), encoding="utf-8")
    return path


def build_requests(count: int, port: int, provisioner: ec.EllipticCurvePrivateKey) -> list[bytes]:
    """Return sign requests, each with a key and a token of its own."""
    requests = []
    for number in range(count):
        name = f"node-{number}"
        token = build_token(provisioner, name, f"https://127.0.0.1:{port}/1.0/sign")
        body = json.dumps({"csr": build_csr(generate_private_key(), name), "ott": token}).encode()
        head = f"POST /1.0/sign HTTP/1.1\r\nHost: ca\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
        requests.append(head.encode() + b"\r\n\r\n" + body)
    return requests


async def main(count: int) -> None:
    """Print the peer's joins a second and what one costs."""
    program = shutil.which("step-ca")
    if program is None:
        report("step-ca sign with a one-time token, one core", "not installed")
        return
    pin_load()
    root, port = Path(tempfile.mkdtemp(prefix="step-ca-bench-")), free_port()
    provisioner = ec.generate_private_key(ec.SECP256R1())
    config = write_config(root, port, provisioner)
    with pinned_process([program, str(config)], root / "log") as process:
        wait_for_port(port, process, root / "log")
        requests, context = build_requests(count + WARM_UP, port, provisioner), build_context(None)

        async def sign(request: bytes) -> None:
            await ask_once(Address("127.0.0.1", port), context, request, _CREATED)

        await measure(process.pid, requests[:WARM_UP], sign, workers=WORKERS)
        cost = await measure(process.pid, requests[WARM_UP:], sign, workers=WORKERS)
    shutil.rmtree(root)
    report("step-ca sign with a one-time token, one core", f"{cost.rate:.0f}/s")
    report("  server CPU each", f"{cost.cpu_ms:.2f} ms")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 2000))
