"""The sections of the services that a process runs as an agent: `ssh_service`, `app_service` and their like."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta

from teleport.config.applications import (
    JWT_CLAIMS,
    parse_app_name,
    parse_app_uri,
    parse_header,
    parse_jwt_claims,
    parse_redirect_host,
)
from teleport.config.document import Section
from teleport.config.names import parse_address_or_host
from teleport.config.settings import (
    KUBE_PORT,
    NODE_PORT,
    WINDOWS_DESKTOP_PORT,
    LabelCommand,
    Rewrite,
    ServiceSettings,
    Target,
)
from teleport.errors import BadParameter
from teleport.resources.address import Address, parse_address
from teleport.resources.model import check_name
from teleport.resources.role import SystemRole

DEFAULT_PERIOD = timedelta(minutes=1)
MIN_PERIOD = timedelta(seconds=1)
MAX_PERIOD = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which of the shared keys a service's section has."""

    key: str
    role: SystemRole
    port: int = 0
    listen_key: str = ""
    labels: bool = False
    commands: bool = False
    read_targets: Callable[[Section], tuple[Target, ...]] | None = None


def read_agent_services(root: Section, base: Sequence[ServiceSettings]) -> tuple[ServiceSettings, ...]:
    """Lay the sections over the services that the flags, or the defaults, start."""
    started = {service.role: service for service in base}
    read = (_read_service(root.section(layout.key), layout, started.get(layout.role)) for layout in _LAYOUTS)
    return tuple(service for service in read if service is not None)


def _read_service(section: Section, layout: _Layout, base: ServiceSettings | None) -> ServiceSettings | None:
    """Return the service if it is enabled; the section is read in any case, so that its mistakes show."""
    default = base or ServiceSettings(layout.role)
    enabled = section.switch("enabled")
    service = ServiceSettings(
        role=layout.role,
        listen_addr=_read_listen_addr(section, layout) or default.listen_addr,
        public_addrs=_read_public_addrs(section, layout) or default.public_addrs,
        labels=(section.labels("labels") if layout.labels else {}) or default.labels,
        commands=(_read_commands(section, "commands") if layout.commands else ()) or default.commands,
        targets=(layout.read_targets(section) if layout.read_targets else ()) or default.targets,
    )
    return service if enabled or (enabled is None and base is not None) else None


def _read_listen_addr(section: Section, layout: _Layout) -> Address | None:
    return section.value(layout.listen_key, _address_parser(layout.port)) if layout.listen_key else None


def _read_public_addrs(section: Section, layout: _Layout) -> tuple[Address, ...]:
    return section.values("public_addr", _address_parser(layout.port)) if layout.port else ()


def _address_parser(port: int) -> Callable[[str], Address]:
    return lambda text: parse_address(parse_address_or_host(text), port)


def _read_commands(section: Section, key: str) -> tuple[LabelCommand, ...]:
    commands = (_read_command(command) for command in section.sections(key))
    return tuple(command for command in commands if command is not None)


def _read_command(section: Section) -> LabelCommand | None:
    name = _read_required(section, "name", _parse_label)
    command = section.values("command", str, multiline=True)
    period = section.duration("period", MIN_PERIOD, MAX_PERIOD) or DEFAULT_PERIOD
    if not command or not command[0]:
        section.add_problem("command", "is missing; expected a program and its arguments, as [/bin/uname, -p]")
        return None
    return LabelCommand(name=name, command=command, period=period) if name else None


def _read_apps(section: Section) -> tuple[Target, ...]:
    return _unique(section, "apps", [_read_app(app) for app in section.sections("apps")])


def _read_app(section: Section) -> Target | None:
    name = _read_required(section, "name", parse_app_name)
    uri = _read_required(section, "uri", parse_app_uri)
    target = Target(
        name=name or "",
        uri=uri or "",
        description=section.text("description") or "",
        public_addr=section.value("public_addr", parse_address_or_host) or "",
        labels=section.labels("labels"),
        commands=_read_commands(section, "commands"),
        insecure_skip_verify=section.switch("insecure_skip_verify") or False,
        rewrite=_read_rewrite(section.section("rewrite")),
    )
    return target if name and uri else None


def _read_rewrite(section: Section) -> Rewrite:
    return Rewrite(
        redirect=section.values("redirect", parse_redirect_host),
        headers=section.values("headers", parse_header),
        jwt_claims=section.value("jwt_claims", parse_jwt_claims) or JWT_CLAIMS[0],
    )


def _read_databases(section: Section) -> tuple[Target, ...]:
    return _unique(section, "databases", [_read_database(database) for database in section.sections("databases")])


def _read_database(section: Section) -> Target | None:
    name = _read_required(section, "name", _parse_name)
    protocol = _read_required(section, "protocol", _parse_name)
    uri = _read_required(section, "uri", str)
    target = Target(
        name=name or "",
        uri=uri or "",
        protocol=protocol or "",
        description=section.text("description") or "",
        labels=section.labels("static_labels"),
        commands=_read_commands(section, "dynamic_labels"),
    )
    return target if name and protocol and uri else None


def _read_kube_cluster(section: Section) -> tuple[Target, ...]:
    name = section.value("kube_cluster_name", _parse_name)
    return (Target(name=name),) if name else ()


def _read_required(section: Section, key: str, parse: Callable[[str], str]) -> str | None:
    if key not in section:
        section.add_problem(key, "is missing")
    return section.value(key, parse)


def _unique(section: Section, key: str, read: Sequence[Target | None]) -> tuple[Target, ...]:
    targets = tuple(target for target in read if target is not None)
    if len({target.name for target in targets}) < len(targets):
        section.add_problem(key, "two entries have the same name")
    return targets


def _parse_label(text: str) -> str:
    check_name(text, "a label's name")
    return text


def _parse_name(text: str) -> str:
    if len(text) > _MAX_NAME:
        raise BadParameter(f"longer than {_MAX_NAME} characters")
    return text


_MAX_NAME = 255
_LAYOUTS = (
    _Layout("ssh_service", SystemRole.NODE, NODE_PORT, "listen_addr", labels=True, commands=True),
    _Layout("app_service", SystemRole.APP, read_targets=_read_apps),
    _Layout("db_service", SystemRole.DB, read_targets=_read_databases),
    _Layout(
        "kubernetes_service", SystemRole.KUBE, KUBE_PORT, "listen_addr",
        labels=True, commands=True, read_targets=_read_kube_cluster,
    ),
    _Layout("discovery_service", SystemRole.DISCOVERY),
    _Layout("windows_desktop_service", SystemRole.WINDOWS_DESKTOP, WINDOWS_DESKTOP_PORT, "listen_addr", labels=True),
)  # fmt: skip
