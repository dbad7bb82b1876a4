"""From a configuration's text and the flags of `teleport start` to the settings of a process."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from teleport.config.agent_services import read_agent_services
from teleport.config.auth_service import read_auth_service
from teleport.config.document import Section, read_document
from teleport.config.findings import Findings
from teleport.config.instance import read_instance
from teleport.config.proxy_service import read_proxy_service
from teleport.config.settings import DEFAULT_CONFIG_PATH, ServiceSettings, Settings
from teleport.config.source import load_source
from teleport.config.start_flags import StartFlags, build_settings
from teleport.errors import BadParameter
from teleport.resources.role import SystemRole

VERSIONS = ("v1", "v2", "v3")
OLDEST_VERSION = "v1"

_OVERRULED = {
    "nodename": "nodename",
    "data_dir": "data_dir",
    "pid_file": "pid_file",
    "advertise_ip": "advertise_ip",
    "diag_addr": "diag_addr",
    "auth_server": "auth_server",
    "proxy": "proxy_server",
    "token": "join_params",
    "ca_pins": "ca_pins",
}
"""Flags, and the settings that they give."""

_NO_FLAGS = StartFlags()


def load_settings_at_start(
    flags: StartFlags, *, environ: Mapping[str, str], hostname: str, default_path: Path = DEFAULT_CONFIG_PATH
) -> Settings:
    """Find the configuration that the flags and the environment name, and read it together with the flags.

    Raises:
        BadParameter: as `load_settings` and `load_source`.
        NotFound: a configuration file that was named does not exist.
    """
    source = load_source(
        config=flags.config, config_string=flags.config_string, environ=environ, default_path=default_path
    )
    if source is None:
        return load_settings("", flags=flags, hostname=hostname)
    return load_settings(source.text, flags=flags, hostname=hostname, origin=source.origin)


def load_settings(text: str, *, hostname: str, flags: StartFlags = _NO_FLAGS, origin: str = "") -> Settings:
    """Read a configuration strictly; where it is silent the flags speak, and then the original's defaults.

    Files that the configuration names, as those of tokens, are read as well.

    Args:
        text: YAML; an empty one leaves everything to flags and defaults.
        hostname: the node's name if nobody gives another.
        flags: the command line's.
        origin: where the text stands, for messages.

    Raises:
        BadConfiguration: anything is unknown, misplaced, of the wrong type, contradictory or out of bounds; all
            problems are named at once, with their lines.
        BadParameter: the text is not YAML, or a key stands twice.
    """
    findings = Findings(origin)
    base = build_settings(flags, hostname=hostname, findings=findings)
    root = _read_document(text, findings, origin)
    settings = read_instance(root.section("teleport"), base, version=_read_version(root))
    settings = replace(
        settings,
        auth=read_auth_service(root.section("auth_service"), settings.auth),
        services=read_agent_services(root, settings.services),
    )
    settings = _read_proxy(root, base, settings)
    root.close()
    if findings.clean:
        _check_complete(settings, findings)
    _warn_of_unmentioned_auth(root, settings, findings)
    _warn_of_overruled_flags(flags, base, settings, findings)
    findings.check()
    return replace(settings, warnings=findings.warnings)


def _read_proxy(root: Section, base: Settings, settings: Settings) -> Settings:
    """Read the section of the proxy, which runs as an agent's service and has settings of its own."""
    started = next((service for service in base.services if service.role is SystemRole.PROXY), None)
    service, proxy = read_proxy_service(root.section("proxy_service"), started, settings.proxy)
    services: tuple[ServiceSettings, ...] = (*settings.services, service) if service else settings.services
    return replace(settings, services=services, proxy=proxy)


def _read_document(text: str, findings: Findings, origin: str) -> Section:
    try:
        return read_document(text, findings)
    except BadParameter as error:
        raise BadParameter(f"{origin}: {error.message}" if origin else error.message) from error


def _read_version(root: Section) -> str:
    version = root.text("version") or OLDEST_VERSION
    if version not in VERSIONS:
        root.add_problem("version", f"unknown version; the versions are {', '.join(VERSIONS)}")
    return version


def _check_complete(settings: Settings, findings: Findings) -> None:
    if not settings.auth.enabled and not settings.services:
        findings.add_problem("no service is enabled; enable one, as ssh_service")
    if not settings.auth.enabled and settings.auth_server is None and settings.proxy_server is None:
        findings.add_problem(
            "the cluster's address is missing: auth_service is not enabled here, so give teleport.proxy_server"
            " (in version v3) or --proxy, or teleport.auth_server or --auth-server"
        )
    if settings.is_proxy and not settings.auth.enabled and settings.proxy_server is not None:
        findings.add_problem(
            "a proxy needs auth's own address: give auth_server instead of proxy_server, or say"
            ' proxy_service: {enabled: "no"}, for a missing section means that the service runs'
        )


def _warn_of_unmentioned_auth(root: Section, settings: Settings, findings: Findings) -> None:
    """A missing section means that the service runs, which surprises on a host that only wants to join."""
    joins = settings.auth_server is not None or settings.proxy_server is not None
    if joins and settings.auth.enabled and "auth_service" not in root:
        findings.add_warning(
            "an auth server is started because auth_service is not mentioned; on a host that joins another one say"
            ' auth_service: {enabled: "no"}'
        )


def _warn_of_overruled_flags(flags: StartFlags, base: Settings, settings: Settings, findings: Findings) -> None:
    for flag, name in _OVERRULED.items():
        if getattr(flags, flag) and getattr(base, name) != getattr(settings, name):
            shown = flag.removesuffix("s").replace("_", "-")
            findings.add_warning(f"--{shown} has no effect: the configuration file says otherwise")
    if flags.roles and _roles(base) != _roles(settings):
        findings.add_warning("--roles has no effect on the services that the configuration file switches on or off")


def _roles(settings: Settings) -> set[SystemRole]:
    roles = {service.role for service in settings.services}
    return roles | {SystemRole.AUTH} if settings.auth.enabled else roles
