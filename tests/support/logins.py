"""Logins as `tsh` keeps them."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from support.clock import START
from teleport.api.identity import Identity
from teleport.api.people import AppInfo
from teleport.cli.profile import Profile

VALID_UNTIL = START + timedelta(hours=12)
SSH_CERTIFICATE = "ssh-ed25519-cert-v01@openssh.com AAAA"


def build_profile(
    *,
    proxy: str = "teleport.example.com:443",
    user: str = "alice",
    roles: Sequence[str] = ("access",),
    public_addr: str = "",
    valid_until: datetime = VALID_UNTIL,
) -> Profile:
    """Return somebody's login; its keys are none, and open nothing."""
    return Profile(
        proxy=proxy,
        public_addr=public_addr,
        cluster_name="example.com",
        user=user,
        roles=tuple(roles),
        logins=("root", "ubuntu"),
        extensions=("permit-port-forwarding", "permit-pty"),
        traits={"logins": ("root",)},
        valid_until=valid_until,
        identity=Identity(
            tls_key="-----BEGIN PRIVATE KEY-----\nS0VZ\n-----END PRIVATE KEY-----\n",
            tls_certificate="-----BEGIN CERTIFICATE-----\nTEVBRg==\n-----END CERTIFICATE-----\n",
            ssh_key="-----BEGIN OPENSSH PRIVATE KEY-----\nU1NI\n-----END OPENSSH PRIVATE KEY-----\n",
            ssh_certificate=SSH_CERTIFICATE,
            host_ca_certificates=("-----BEGIN CERTIFICATE-----\nSE9TVA==\n-----END CERTIFICATE-----\n",),
        ),
    )


def build_app(name: str = "grafana", *, uri: str = "http://10.0.0.1:3000", public_addr: str = "") -> AppInfo:
    """Return an application as auth describes it."""
    labels = {"teleport.dev/origin": "config"}
    return AppInfo(name=name, description="", uri=uri, public_addr=public_addr, protocol="", labels=labels)
