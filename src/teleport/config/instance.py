"""The section `teleport`: what holds for the whole process."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

from teleport.config.document import Section
from teleport.config.names import (
    parse_address_or_host,
    parse_auth_address,
    parse_diag_address,
    parse_nodename,
    parse_proxy_address,
)
from teleport.config.pins import load_pins
from teleport.config.settings import (
    AUTH_PORT,
    ConnectionLimits,
    JoinParams,
    LogSettings,
    Rate,
    Settings,
    StorageSettings,
)
from teleport.config.value_file import load_join_token
from teleport.errors import BadParameter
from teleport.resources.token import METHODS_OF_THE_ORIGINAL, TOKEN_METHOD

MAX_COUNT = 1_000_000_000
MAX_PERIOD = timedelta(days=1)

_SEVERITIES = {
    "debug": "DEBUG",
    "info": "INFO",
    "warn": "WARNING",
    "warning": "WARNING",
    "err": "ERROR",
    "error": "ERROR",
}
_OUTPUTS = {"stderr": "stderr", "err": "stderr", "2": "stderr", "stdout": "stdout", "out": "stdout", "1": "stdout"}
_STORAGE_TYPES = {"sqlite": "sqlite", "dir": "sqlite", "memory": "memory"}
"""`dir` is the original's older word for its SQLite backend."""


def read_instance(section: Section, base: Settings, *, version: str) -> Settings:
    """Lay the section over the settings of the flags."""
    return replace(
        _read_addresses(section, base, version=version),
        nodename=section.value("nodename", parse_nodename) or base.nodename,
        data_dir=section.value("data_dir", Path) or base.data_dir,
        pid_file=section.value("pid_file", Path) or base.pid_file,
        advertise_ip=section.value("advertise_ip", parse_address_or_host) or base.advertise_ip,
        diag_addr=section.value("diag_addr", parse_diag_address) or base.diag_addr,
        join_params=_read_join_params(section, base),
        ca_pins=tuple(pin for pins in section.values("ca_pin", load_pins) for pin in pins) or base.ca_pins,
        log=_read_log(section.section("log")),
        connection_limits=_read_limits(section.section("connection_limits")),
        storage=_read_storage(section.section("storage")),
    )


def _read_addresses(section: Section, base: Settings, *, version: str) -> Settings:
    """Version 3 has one address of one kind, the versions before it a list of auth servers."""
    if version == "v3":
        if "auth_servers" in section:
            section.add_problem("auth_servers", "version v3 has auth_server, one address, in its place")
        if "auth_server" in section and "proxy_server" in section:
            section.add_problem("proxy_server", "stands beside auth_server; keep the one that this process shall use")
        section.values("auth_servers", parse_auth_address)
        auth_server = section.value("auth_server", parse_auth_address)
        proxy_server = section.value("proxy_server", parse_proxy_address)
        if proxy_server is not None and proxy_server.port == AUTH_PORT:
            section.add_warning("proxy_server", f"port {AUTH_PORT} is an auth server's; auth_server may be meant")
    else:
        for key in ("auth_server", "proxy_server"):
            if key in section:
                section.add_problem(key, f"needs version: v3; in {version} there is auth_servers")
            section.text(key)
        servers = section.values("auth_servers", parse_auth_address)
        if len(servers) > 1:
            section.add_warning("auth_servers", "only the first address is used; a load balancer may stand there")
        auth_server, proxy_server = servers[0] if servers else None, None
    if auth_server is None and proxy_server is None:
        return base
    return replace(base, auth_server=auth_server, proxy_server=proxy_server)


def _read_join_params(section: Section, base: Settings) -> JoinParams | None:
    params = section.section("join_params")
    if "auth_token" in section and "join_params" in section:
        section.add_problem("auth_token", "stands beside join_params, which says the same in its newer form; keep one")
    token = section.value("auth_token", _token_loader(section, "auth_token"))
    method = params.value("method", _parse_method)
    name = params.value("token_name", _token_loader(params, "token_name"))
    for key, other in (("token_name", "method"), ("method", "token_name")):
        if key in params and other not in params:
            params.add_problem(other, f"is needed beside {key}")
    if method and name:
        return JoinParams(method=method, token_name=name)
    if token:
        return JoinParams(method=TOKEN_METHOD, token_name=token)
    return None if "auth_token" in section or "join_params" in section else base.join_params


def _token_loader(section: Section, key: str) -> Callable[[str], str | None]:
    return lambda text: load_join_token(text, warn=lambda sentence: section.add_warning(key, sentence))


def _parse_method(text: str) -> str:
    if text not in METHODS_OF_THE_ORIGINAL:
        raise BadParameter(f"unknown join method; the methods are {', '.join(sorted(METHODS_OF_THE_ORIGINAL))}")
    return text


def _read_log(section: Section) -> LogSettings:
    formats = section.section("format")
    default = LogSettings()
    if section.text("output") == "syslog":
        section.add_warning("output", "syslog is not supported; the log goes to stderr, where journald finds it")
    return LogSettings(
        output=section.value("output", _parse_output) or default.output,
        severity=section.value("severity", _parse_severity) or default.severity,
        format=formats.value("output", _parse_format) or default.format,
    )


def _parse_output(text: str) -> str:
    if text.startswith("/"):
        return text
    word = text.lower()
    if word == "syslog":
        return "stderr"
    if word not in _OUTPUTS:
        raise BadParameter("expected stderr, stdout or a file's absolute path")
    return _OUTPUTS[word]


def _parse_severity(text: str) -> str:
    if text.lower() not in _SEVERITIES:
        raise BadParameter("expected DEBUG, INFO, WARN or ERROR")
    return _SEVERITIES[text.lower()]


def _parse_format(text: str) -> str:
    if text not in ("text", "json"):
        raise BadParameter("expected text or json")
    return text


def _read_limits(section: Section) -> ConnectionLimits:
    """`rates` is the original's, of requests; `refused_joins` is ours, of the same shape."""
    default = ConnectionLimits()
    rates = section.sections("rates")
    read = [_read_rate(rate) for rate in rates]
    if len(rates) > 1:
        section.add_problem("rates", "one rate is supported; keep the one that matters most")
    return ConnectionLimits(
        max_connections=section.whole("max_connections", 1, MAX_COUNT) or default.max_connections,
        anonymous_requests=(read[0] if read else None) or default.anonymous_requests,
        refused_joins=_read_rate(section.section("refused_joins"), required="refused_joins" in section)
        or default.refused_joins,
    )


def _read_rate(section: Section, *, required: bool = True) -> Rate | None:
    period = section.duration("period", timedelta(milliseconds=1), MAX_PERIOD)
    average, burst = section.whole("average", 1, MAX_COUNT), section.whole("burst", 1, MAX_COUNT)
    for key in ("period", "average", "burst"):
        if required and key not in section:
            section.add_problem(key, "is missing")
    return Rate(period, average=average, burst=burst) if period and average and burst else None


def _read_storage(section: Section) -> StorageSettings:
    return StorageSettings(
        type=section.value("type", _parse_storage_type) or StorageSettings().type,
        path=section.value("path", Path),
    )


def _parse_storage_type(text: str) -> str:
    if text not in _STORAGE_TYPES:
        raise BadParameter(f"unknown storage; the types are {', '.join(_STORAGE_TYPES)}")
    return _STORAGE_TYPES[text]
