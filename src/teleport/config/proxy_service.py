"""The section `proxy_service`."""

from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from teleport.config.document import Section
from teleport.config.names import parse_proxy_address
from teleport.config.settings import KeyPairFiles, ProxySettings, ServiceSettings
from teleport.errors import BadParameter
from teleport.resources.role import SystemRole

MAX_RELOAD_INTERVAL = timedelta(days=30)


def read_proxy_service(
    section: Section, service: ServiceSettings | None, base: ProxySettings
) -> tuple[ServiceSettings | None, ProxySettings]:
    """Lay the section over what the flags say; the service is None where the proxy is not enabled."""
    enabled = section.switch("enabled")
    listen_addr = section.value("web_listen_addr", parse_proxy_address)
    public_addrs = section.values("public_addr", parse_proxy_address)
    reload_interval = section.duration("https_keypairs_reload_interval", timedelta(), MAX_RELOAD_INTERVAL)
    dist_dir = section.value("dist_dir", _parse_path)
    trust_forwarded = section.switch("trust_x_forwarded_for")
    settings = replace(
        base,
        web_listen_addr=listen_addr or (service and service.listen_addr) or base.web_listen_addr,
        public_addrs=public_addrs or base.public_addrs,
        tunnel_public_addrs=section.values("tunnel_public_addr", parse_proxy_address),
        keypairs=tuple(pair for pair in map(_read_keypair, section.sections("https_keypairs")) if pair is not None),
        keypairs_reload_interval=base.keypairs_reload_interval if reload_interval is None else reload_interval,
        dist_dir=dist_dir or base.dist_dir,
        trust_x_forwarded_for=bool(trust_forwarded),
    )
    if not (enabled or (enabled is None and service is not None)):
        return None, settings
    described = ServiceSettings(
        SystemRole.PROXY, listen_addr=settings.web_listen_addr, public_addrs=settings.public_addrs
    )
    return described, settings


def _read_keypair(section: Section) -> KeyPairFiles | None:
    key_file, cert_file = (section.value(key, _parse_path) for key in ("key_file", "cert_file"))
    for key in ("key_file", "cert_file"):
        if key not in section:
            section.add_problem(key, "is missing; a pair is a key_file and a cert_file")
    return KeyPairFiles(key_file=key_file, cert_file=cert_file) if key_file and cert_file else None


def _parse_path(text: str) -> Path:
    path = Path(text)
    if not path.is_absolute():
        raise BadParameter("expected an absolute path")
    return path
