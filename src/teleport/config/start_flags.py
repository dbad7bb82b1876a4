"""The flags of `teleport start` as settings; a configuration file is laid over them and wins where it speaks."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from teleport.config.applications import parse_app_name, parse_app_uri
from teleport.config.findings import Findings
from teleport.config.labels import parse_labels
from teleport.config.names import (
    parse_address_or_host,
    parse_auth_address,
    parse_diag_address,
    parse_nodename,
    parse_proxy_address,
)
from teleport.config.pins import load_pins
from teleport.config.settings import (
    AUTH_LISTEN_ADDR,
    DEFAULT_DATA_DIR,
    NODE_PORT,
    PROXY_WEB_PORT,
    AuthSettings,
    JoinParams,
    ServiceSettings,
    Settings,
    Target,
)
from teleport.config.value_file import load_join_token
from teleport.errors import BadParameter, TeleportError
from teleport.resources.address import Address
from teleport.resources.role import SystemRole, parse_roles
from teleport.resources.token import TOKEN_METHOD

DEFAULT_ROLES = (SystemRole.PROXY, SystemRole.NODE, SystemRole.AUTH)
STARTABLE_ROLES = (
    SystemRole.APP,
    SystemRole.AUTH,
    SystemRole.DB,
    SystemRole.DISCOVERY,
    SystemRole.KUBE,
    SystemRole.NODE,
    SystemRole.PROXY,
    SystemRole.WINDOWS_DESKTOP,
)

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class StartFlags:
    """The flags as they were typed; None or empty where they were not."""

    config: Path | None = None
    config_string: str | None = field(default=None, repr=False)
    """A whole configuration in base64."""
    roles: str | None = None
    auth_server: str | None = None
    proxy: str | None = None
    token: str | None = field(default=None, repr=False)
    ca_pins: tuple[str, ...] = ()
    nodename: str | None = None
    labels: str | None = None
    advertise_ip: str | None = None
    listen_ip: str | None = None
    diag_addr: str | None = None
    data_dir: Path | None = None
    pid_file: Path | None = None
    insecure_skip_ca_pin: bool = False
    insecure: bool = False
    skip_version_check: bool = False
    app_name: str | None = None
    app_uri: str | None = None
    app_public_addr: str | None = None
    app_labels: str | None = None


def parse_startable_roles(text: str) -> tuple[SystemRole, ...]:
    """Read a comma-separated list of roles that have a service.

    Raises:
        BadParameter: as `parse_roles`, or a role has no service that could be started.
    """
    roles = parse_roles(text)
    for role in roles:
        if role not in STARTABLE_ROLES:
            known = ", ".join(known.lower() for known in STARTABLE_ROLES)
            raise BadParameter(f"role {role} has no service to start; choose from {known}")
    return roles


def build_settings(flags: StartFlags, *, hostname: str, findings: Findings) -> Settings:
    """Return what a process does that is told by its flags alone; what is wrong with them goes to the findings."""
    return _Reader(flags, findings).build(hostname)


class _Reader:
    def __init__(self, flags: StartFlags, findings: Findings) -> None:
        self._flags = flags
        self._findings = findings

    def build(self, hostname: str) -> Settings:
        flags = self._flags
        roles = self._build_roles()
        return Settings(
            nodename=self._read("nodename", parse_nodename) or hostname,
            data_dir=flags.data_dir or DEFAULT_DATA_DIR,
            pid_file=flags.pid_file,
            advertise_ip=self._read("advertise_ip", parse_address_or_host),
            diag_addr=self._read("diag_addr", parse_diag_address),
            auth_server=self._read("auth_server", parse_auth_address),
            proxy_server=self._read("proxy", parse_proxy_address),
            join_params=self._read("token", self._load_join_params),
            ca_pins=self._load_pins(),
            insecure_skip_ca_pin=flags.insecure_skip_ca_pin,
            is_insecure=flags.insecure,
            skip_version_check=flags.skip_version_check,
            auth=AuthSettings(
                enabled=SystemRole.AUTH in roles, listen_addr=self._listen(AUTH_LISTEN_ADDR.port) or AUTH_LISTEN_ADDR
            ),
            services=tuple(self._build_service(role) for role in roles if role is not SystemRole.AUTH),
        )

    def _build_roles(self) -> tuple[SystemRole, ...]:
        flags = self._flags
        roles = self._read("roles", parse_startable_roles) or DEFAULT_ROLES
        if flags.auth_server is not None and flags.proxy is not None:
            self._findings.add_problem("--proxy and --auth-server exclude each other: a process uses one of them")
        if flags.auth_server is not None or flags.proxy is not None:
            roles = self._leave_out(SystemRole.AUTH, roles, "--auth-server" if flags.auth_server else "--proxy")
        if flags.proxy is not None and flags.roles is None:
            roles = tuple(role for role in roles if role is not SystemRole.PROXY)
        if flags.app_name is not None and SystemRole.APP not in roles:
            roles = (*roles, SystemRole.APP)
        return roles

    def _leave_out(self, role: SystemRole, roles: tuple[SystemRole, ...], flag: str) -> tuple[SystemRole, ...]:
        if role in roles and self._flags.roles is not None:
            self._findings.add_warning(f"role {role.lower()} is not started: {flag} names another one")
        return tuple(each for each in roles if each is not role)

    def _build_service(self, role: SystemRole) -> ServiceSettings:
        if role is SystemRole.NODE:
            labels = self._read("labels", parse_labels) or {}
            return ServiceSettings(role, listen_addr=self._listen(NODE_PORT), labels=labels)
        if role is SystemRole.PROXY:
            return ServiceSettings(role, listen_addr=self._listen(PROXY_WEB_PORT))
        if role is SystemRole.APP:
            return ServiceSettings(role, targets=self._build_targets())
        return ServiceSettings(role)

    def _build_targets(self) -> tuple[Target, ...]:
        name, uri = self._read("app_name", parse_app_name), self._read("app_uri", parse_app_uri)
        public_addr = self._read("app_public_addr", parse_address_or_host) or ""
        labels = self._read("app_labels", parse_labels) or {}
        if (self._flags.app_name is None) != (self._flags.app_uri is None):
            self._findings.add_problem("--app-name and --app-uri go together")
        return (Target(name, uri=uri, public_addr=public_addr, labels=labels),) if name and uri else ()

    def _load_join_params(self, text: str) -> JoinParams | None:
        token = load_join_token(text, warn=lambda sentence: self._findings.add_warning(f"--token: {sentence}"))
        return JoinParams(method=TOKEN_METHOD, token_name=token) if token else None

    def _load_pins(self) -> tuple[str, ...]:
        loaded = [self._parse("ca_pin", text, load_pins) or () for text in self._flags.ca_pins]
        return tuple(pin for pins in loaded for pin in pins)

    def _listen(self, port: int) -> Address | None:
        host = self._read("listen_ip", parse_address_or_host)
        return Address(host, port) if host else None

    def _read(self, name: str, parse: Callable[[str], T]) -> T | None:
        text: str | None = getattr(self._flags, name)
        return None if text is None else self._parse(name, text, parse)

    def _parse(self, name: str, text: str, parse: Callable[[str], T]) -> T | None:
        flag = "--" + name.replace("_", "-")
        try:
            if not text.strip():
                raise BadParameter("is empty")
            return parse(text)
        except TeleportError as error:
            self._findings.add_problem(f"{flag}: {error.message}")
            return None
