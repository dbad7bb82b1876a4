"""Mends what can be mended in a manifest without asking anybody; where two readings are possible it is left as it is.

Nothing here lets in more than what was written: an unknown field becomes the one that was meant, or stays to be seen.
"""

import re
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from teleport.errors import BadParameter
from teleport.resources.model import render_time
from teleport.resources.role import SystemRole
from teleport.resources.token import SAFE_SECRET_LENGTH, TOKEN_METHOD
from teleport_operator.declaration import API_VERSION
from teleport_operator.expiry import parse_moment
from teleport_operator.fields import find_near, list_fields
from teleport_operator.files.faults import OBJECT_NAME, RANDOM
from teleport_operator.files.text import TEMPLATE
from teleport_operator.spec import DeclaredSpec

NEW_NAME = "join-token"

_ROLES = {role.value.lower(): role.value for role in SystemRole}
_STOPWATCH = re.compile(r" m=\+(?P<seconds>[0-9]{1,9})\.[0-9]+$")
"""Go's runs since the program began: with an hour added, Helm's `now` says 3600 and a blink."""
_ADDED = re.compile(r'dateModify\s+"\+?(?P<ttl>([0-9]+[hms])+)"')


def correct(raw: Mapping[str, Any], new_name: str = NEW_NAME) -> dict[str, Any]:
    """Return a manifest as its author meant it, as far as that can be told.

    Args:
        raw: the manifest.
        new_name: for an object whose name was meant to be a secret.
    """
    metadata = _mend_metadata(raw.get("metadata"))
    spec = _rename(raw.get("spec"), DeclaredSpec)
    if not isinstance(spec, dict):
        return {**raw, "apiVersion": API_VERSION, "metadata": metadata}
    spec = _mend_rules(_mend_roles(_mend_expires(spec, metadata)))
    if "name" in metadata or "generateName" not in metadata:
        name = metadata.get("name")
        spec |= {"secret": {}} if _needs_secret(name, spec) else {}
        metadata["name"] = name if _is_name(name) else _build_name(name, spec) or new_name
    return {**raw, "apiVersion": API_VERSION, "metadata": metadata, "spec": spec}


def _mend_metadata(metadata: object) -> dict[str, Any]:
    """Return the metadata with text where Kubernetes wants text."""
    mended = dict(metadata) if isinstance(metadata, Mapping) else {}
    for field in ("labels", "annotations"):
        if isinstance(mended.get(field), Mapping):
            mended[field] = {str(key): _to_text(value) for key, value in mended[field].items()}
    return mended


def _to_text(value: object) -> object:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int | float) else value


def _rename(value: Any, model: type[BaseModel]) -> Any:  # noqa: ANN401 - whatever YAML can hold
    """Return a value in which unknown fields have the names that were meant, where those are free."""
    if isinstance(value, list):
        return [_rename(item, model) for item in value]
    if not isinstance(value, Mapping):
        return value
    fields, renamed = list_fields(model), {}
    for key, item in value.items():
        near = None if key in fields else find_near(str(key), fields)
        name = key if near is None or near in value else near
        inner = fields.get(name)
        renamed[name] = item if inner is None else _rename(item, inner)
    return renamed


def _mend_expires(spec: dict[str, Any], metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the spec with the end that stands in the metadata, or with its own written as RFC 3339."""
    dropped = metadata.pop("expires", None)
    if dropped is not None and "expires" not in spec and "ttl" not in spec:
        return {**spec, **_read_end(str(dropped))}
    return {**spec, **_read_end(str(spec["expires"]))} if _is_go_time(spec.get("expires")) else spec


def _is_go_time(value: object) -> bool:
    return isinstance(value, str) and value[10:11] == " "


def _read_end(text: str) -> dict[str, str]:
    """Return the field of the spec that says what a moment meant: a stopwatch and a template tell the life itself."""
    added, stopwatch = _ADDED.search(text), _STOPWATCH.search(text)
    if added is not None:
        return {"ttl": added["ttl"]}
    if stopwatch is not None and int(stopwatch["seconds"]) >= 60:  # noqa: PLR2004 - a minute, the shortest life
        return {"ttl": _render_minutes(int(stopwatch["seconds"]) // 60)}
    try:
        return {"expires": render_time(parse_moment(text))}
    except BadParameter:
        return {"expires": text}


def _render_minutes(minutes: int) -> str:
    hours, rest = divmod(minutes, 60)
    return f"{hours}h" * bool(hours) + f"{rest}m" * bool(rest)


def _mend_roles(spec: dict[str, Any]) -> dict[str, Any]:
    roles = spec.get("roles")
    if isinstance(roles, str) and TEMPLATE not in roles:
        roles = [role.strip() for role in roles.split(",")]
    return {**spec, "roles": [_mend_role(role) for role in roles]} if isinstance(roles, list) else spec


def _mend_role(role: object) -> object:
    near = find_near(str(role).lower(), _ROLES)
    return role if near is None else _ROLES[near]


def _mend_rules(spec: dict[str, Any]) -> dict[str, Any]:
    """Return the spec with patterns in the fields that take patterns."""
    section = spec.get("kubernetes")
    if not isinstance(section, Mapping) or not isinstance(section.get("allow"), list):
        return spec
    return {**spec, "kubernetes": {**section, "allow": [_mend_rule(rule) for rule in section["allow"]]}}


def _mend_rule(rule: object) -> object:
    if not isinstance(rule, Mapping) or set(rule) != {"service_account"}:
        return rule
    namespace, colon, name = str(rule["service_account"]).partition(":")
    if not (namespace and colon and name) or not {"*", "?"} & set(namespace + name):
        return rule
    return {"service_account_namespace": namespace, "service_account_name": name}


def _needs_secret(name: object, spec: Mapping[str, Any]) -> bool:
    """Tell whether the name was meant as the secret, and cannot be it."""
    if "secret" in spec or spec.get("join_method") not in (None, "", TOKEN_METHOD) or spec.get("allow"):
        return False
    return not _is_name(name) or len(str(name)) < SAFE_SECRET_LENGTH


def _build_name(name: object, spec: Mapping[str, Any]) -> str:
    """Return a name that Kubernetes takes, or nothing: of one that was meant as a secret nothing is kept."""
    return "" if "secret" in spec or not name else re.sub(r"[^a-z0-9]+", "-", str(name).lower())[:253].strip("-")


def _is_name(name: object) -> bool:
    """Tell whether Kubernetes takes a name, or Helm may still make one of it that stays."""
    if isinstance(name, str) and TEMPLATE in name:
        return not RANDOM.search(name)
    return isinstance(name, str) and OBJECT_NAME.fullmatch(name) is not None
