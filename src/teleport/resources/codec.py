"""YAML and JSON to resources and back, and the table of kinds.

A new kind is a model in this package and a line in `KINDS`.
"""

from collections.abc import Iterator
from typing import Any

from teleport.errors import BadParameter
from teleport.resources.access_role import Role
from teleport.resources.authority import CertAuthority
from teleport.resources.model import Resource, parse_model
from teleport.resources.presence import SERVER_ROLES, Instance, Server
from teleport.resources.strict_yaml import parse_documents
from teleport.resources.token import Token
from teleport.resources.user import User

MAX_DOCUMENTS = 1000

KINDS: dict[str, type[Resource]] = {
    "token": Token,
    "cert_authority": CertAuthority,
    "instance": Instance,
    "role": Role,
    "user": User,
    **dict.fromkeys(SERVER_ROLES, Server),
}

_ALIASES = {
    "tokens": "token",
    "provision_token": "token",
    "nodes": "node",
    "proxies": "proxy",
    "auth_servers": "auth_server",
    "apps": "app_server",
    "app": "app_server",
    "app_servers": "app_server",
    "dbs": "db_server",
    "db": "db_server",
    "db_servers": "db_server",
    "kube_servers": "kube_server",
    "windows_desktop_services": "windows_desktop_service",
    "discovery_services": "discovery_service",
    "cert_authorities": "cert_authority",
    "cas": "cert_authority",
    "ca": "cert_authority",
    "instances": "instance",
    "roles": "role",
    "users": "user",
}


def parse_kind(text: str) -> str:
    """Return the canonical name of a kind given in singular, plural or short.

    Raises:
        BadParameter: there is no such kind.
    """
    word = text.strip().lower()
    kind = _ALIASES.get(word, word)
    if kind not in KINDS:
        raise BadParameter(f"unknown resource kind {text[:64]!r}; the kinds are {', '.join(sorted(KINDS))}")
    return kind


def parse_resource(raw: object) -> Resource:
    """Turn plain data into a resource of the kind that it names.

    Raises:
        BadParameter: no mapping, an unknown kind, or a field that does not belong; the message names it.
    """
    if not isinstance(raw, dict):
        raise BadParameter("a resource must be a mapping with kind, metadata and spec")
    kind = parse_kind(str(raw.get("kind", "")))
    document: dict[str, Any] = {**raw, "kind": kind}
    if kind == "token":
        document["version"] = "v2"  # as in the original, whatever the file says
    return parse_model(KINDS[kind], document, kind)


def parse_resources(text: str) -> Iterator[Resource]:
    """Yield the resources of a YAML (or JSON) stream.

    Raises:
        BadParameter: as `parse_resource`, or there are too many documents.
    """
    for number, raw in enumerate(parse_documents(text), start=1):
        if number > MAX_DOCUMENTS:
            raise BadParameter(f"more than {MAX_DOCUMENTS} documents")
        yield parse_resource(raw)


def to_plain(resource: Resource) -> dict[str, Any]:
    """Return the resource as plain data, without what is empty, for JSON and YAML."""
    plain = resource.model_dump(mode="json", exclude_none=True)
    return _without_empty(plain)


def _without_empty(plain: dict[str, Any]) -> dict[str, Any]:
    kept = {key: _without_empty(value) if isinstance(value, dict) else value for key, value in plain.items()}
    return {key: value for key, value in kept.items() if value not in ("", {}, [], ())}
