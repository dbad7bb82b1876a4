"""The section `auth_service`."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

from teleport.config.document import Section
from teleport.config.names import parse_auth_address, parse_nodename
from teleport.config.settings import HOST_CERT_TTL, YEAR, AuthSettings, KubernetesSettings, StaticToken
from teleport.config.static_tokens import check_static_tokens, load_static_tokens
from teleport.errors import BadParameter

MIN_HOST_CERT_TTL = timedelta(minutes=1)
MIN_AUDIT_RETENTION = timedelta(hours=1)
MAX_AUDIT_RETENTION = 100 * YEAR
MAX_REVIEWS = 10_000
VERIFICATIONS = ("tokenreview", "jwks")


def read_auth_service(section: Section, base: AuthSettings) -> AuthSettings:
    """Lay the section over what the flags say."""
    enabled = section.switch("enabled")
    _check_authentication(section.section("authentication"))
    return replace(
        base,
        enabled=base.enabled if enabled is None else enabled,
        cluster_name=section.value("cluster_name", parse_nodename) or base.cluster_name,
        listen_addr=section.value("listen_addr", parse_auth_address) or base.listen_addr,
        public_addrs=section.values("public_addr", parse_auth_address) or base.public_addrs,
        tokens=_read_tokens(section),
        seal_key_file=section.section("seal").value("key_file", _parse_key_file),
        kubernetes=_read_kubernetes(section.section("kubernetes")),
        host_cert_ttl=section.duration("host_cert_ttl", MIN_HOST_CERT_TTL, HOST_CERT_TTL) or base.host_cert_ttl,
        audit_retention=section.section("audit").duration("retention", MIN_AUDIT_RETENTION, MAX_AUDIT_RETENTION)
        or base.audit_retention,
    )


def _check_authentication(section: Section) -> None:
    """Local users are what there will be; every other word here would promise a login that nothing asks for."""
    kind = section.text("type")
    if kind is not None and kind != "local":
        section.add_problem("type", "expected local; no other way to log in is supported")


def _read_kubernetes(section: Section) -> KubernetesSettings:
    """Read auth's way to an API server; an address needs both files, and without one neither means anything."""
    base = KubernetesSettings()
    settings = KubernetesSettings(
        api_server=section.value("api_server", _parse_api_server) or "",
        ca_file=section.value("ca_file", _parse_key_file),
        token_file=section.value("token_file", _parse_key_file),
        verification=section.value("verification", _parse_verification) or base.verification,
        max_reviews=section.whole("max_reviews", 1, MAX_REVIEWS) or base.max_reviews,
    )
    given = (bool(settings.api_server), settings.ca_file is not None, settings.token_file is not None)
    if any(given) and not all(given):
        section.add_problem("api_server", "api_server, ca_file and token_file go together")
    return settings


def _parse_api_server(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme != "https" or not parts.hostname or parts.username or parts.query or parts.fragment:
        raise BadParameter("expected an https address")
    return text.rstrip("/")


def _parse_verification(text: str) -> str:
    if text not in VERIFICATIONS:
        raise BadParameter(f"expected one of {', '.join(VERIFICATIONS)}")
    return text


def _read_tokens(section: Section) -> tuple[StaticToken, ...]:
    def warn(sentence: str) -> None:
        section.add_warning("tokens", sentence)

    read: Sequence[tuple[StaticToken, ...]] = section.values(
        "tokens", lambda entry: load_static_tokens(entry, warn=warn)
    )
    tokens = tuple(token for entry in read for token in entry)
    try:
        check_static_tokens(tokens, warn=warn)
    except BadParameter as error:
        section.add_problem("tokens", error.message)
    return tokens


def _parse_key_file(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise BadParameter("expected an absolute path")
    return path
