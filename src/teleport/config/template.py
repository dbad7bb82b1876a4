"""The configuration file that `teleport configure` writes: from a few answers to YAML that `load_settings` reads."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from teleport.config.settings import AUTH_LISTEN_ADDR, DEFAULT_DATA_DIR
from teleport.config.start_flags import DEFAULT_ROLES
from teleport.errors import BadParameter
from teleport.resources.role import SystemRole
from teleport.resources.token import TOKEN_METHOD

HTTPS_PORT = 443

_ONE_LINE = 1_000_000
"""YAML's width: a value is never folded, so that line tools like sed see it whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Template:
    """The answers, each of them parsed already; None or empty where nobody gave one."""

    nodename: str
    version: str = "v3"
    roles: tuple[SystemRole, ...] = DEFAULT_ROLES
    data_dir: Path = DEFAULT_DATA_DIR
    token: str | None = field(default=None, repr=False)
    join_method: str = TOKEN_METHOD
    auth_server: str | None = None
    proxy_server: str | None = None
    ca_pins: tuple[str, ...] = ()
    cluster_name: str | None = None
    public_addr: str | None = None
    """Of the proxy, or of the node where there is no proxy."""
    acme: bool = False
    acme_email: str | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    labels: dict[str, str] = field(default_factory=dict)
    """Of the node."""
    app_name: str | None = None
    app_uri: str | None = None


class _Quoted(str):
    """A text that stands in double quotes, whatever it is."""

    __slots__ = ()


class _Flow(list[str]):
    """A list on one line."""

    __slots__ = ()


class _Dumper(yaml.CSafeDumper):
    """Writes the file in the original's style."""


_Dumper.add_representer(
    _Quoted, lambda dumper, text: dumper.represent_scalar("tag:yaml.org,2002:str", str(text), style='"')
)
_Dumper.add_representer(
    _Flow, lambda dumper, items: dumper.represent_sequence("tag:yaml.org,2002:seq", items, flow_style=True)
)


def check_template(template: Template) -> None:
    """Refuse answers that contradict each other.

    Raises:
        BadParameter: two answers exclude each other, or one needs another beside it.
    """
    if template.auth_server and template.proxy_server:
        raise BadParameter("--proxy and --auth-server exclude each other: the process joins through one of them")
    if template.proxy_server and template.version != "v3":
        raise BadParameter("--proxy needs --version=v3")
    if (template.cert_file is None) != (template.key_file is None):
        raise BadParameter("--cert-file and --key-file go together")
    if (template.app_name is None) != (template.app_uri is None):
        raise BadParameter("--app-name and --app-uri go together")
    if template.acme_email and not template.acme:
        raise BadParameter("--acme-email needs --acme")


def render_template(template: Template) -> str:
    """Write the file.

    Raises:
        BadParameter: as `check_template`, or a text is not Unicode.
    """
    check_template(template)
    document = {"version": template.version, "teleport": _build_instance(template), **_build_services(template)}
    try:
        return yaml.dump(
            document, Dumper=_Dumper, sort_keys=False, default_flow_style=False, allow_unicode=True, width=_ONE_LINE
        )
    except UnicodeEncodeError as error:
        raise BadParameter("an answer is not valid Unicode text") from error


def _build_instance(template: Template) -> dict[str, Any]:
    section: dict[str, Any] = {"nodename": template.nodename, "data_dir": str(template.data_dir)}
    if template.token:
        section["join_params"] = {"token_name": template.token, "method": template.join_method}
    if template.proxy_server:
        section["proxy_server"] = template.proxy_server
    if template.auth_server and template.version == "v3":
        section["auth_server"] = template.auth_server
    elif template.auth_server:
        section["auth_servers"] = [template.auth_server]
    section["log"] = {"output": "stderr", "severity": "INFO", "format": {"output": "text"}}
    pins = [_Quoted(pin) for pin in template.ca_pins]
    section["ca_pin"] = pins if len(pins) > 1 else pins[0] if pins else _Quoted("")
    section["diag_addr"] = _Quoted("")
    return section


def _build_services(template: Template) -> dict[str, Any]:
    roles = set(template.roles) | ({SystemRole.APP} if template.app_name else set())
    services = {
        "auth_service": _build_auth(template) if SystemRole.AUTH in roles else _OFF,
        "ssh_service": _build_node(template) if SystemRole.NODE in roles else _OFF,
        "proxy_service": _build_proxy(template) if SystemRole.PROXY in roles else _OFF,
        "app_service": _build_app(template) if SystemRole.APP in roles else _OFF,
        "db_service": _ON if SystemRole.DB in roles else _OFF,
        "windows_desktop_service": _ON if SystemRole.WINDOWS_DESKTOP in roles else _OFF,
    }
    optional = {"kubernetes_service": SystemRole.KUBE, "discovery_service": SystemRole.DISCOVERY}
    services |= {key: _ON for key, role in optional.items() if role in roles}
    return {key: dict(section) for key, section in services.items()}


def _build_auth(template: Template) -> dict[str, Any]:
    section: dict[str, Any] = {**_ON, "listen_addr": str(AUTH_LISTEN_ADDR)}
    if template.cluster_name:
        section["cluster_name"] = template.cluster_name
    return section


def _build_node(template: Template) -> dict[str, Any]:
    """The label `hostname` is what lists show of a node that has no other."""
    section: dict[str, Any] = dict(_ON)
    if template.public_addr and SystemRole.PROXY not in template.roles:
        section["public_addr"] = template.public_addr
    if template.labels:
        section["labels"] = template.labels
    section["commands"] = [{"name": "hostname", "command": _Flow(["hostname"]), "period": "1m0s"}]
    return section


def _build_proxy(template: Template) -> dict[str, Any]:
    section: dict[str, Any] = dict(_ON)
    public_addr = template.public_addr
    if template.acme:
        section["web_listen_addr"] = f"0.0.0.0:{HTTPS_PORT}"
        section["acme"] = {**_ON, **({"email": template.acme_email} if template.acme_email else {})}
        public_addr = public_addr or template.cluster_name
    if public_addr:
        section["public_addr"] = public_addr if ":" in public_addr else f"{public_addr}:{HTTPS_PORT}"
    if template.cert_file and template.key_file:
        section["https_keypairs"] = [{"key_file": str(template.key_file), "cert_file": str(template.cert_file)}]
    return section


def _build_app(template: Template) -> dict[str, Any]:
    apps = [{"name": template.app_name, "uri": template.app_uri}] if template.app_name else []
    return {**_ON, **({"apps": apps} if apps else {})}


_ON = {"enabled": _Quoted("yes")}
_OFF = {"enabled": _Quoted("no")}
