"""A person's way to a cluster: the present context of a kubeconfig file, as `kubectl` would read it."""

from base64 import b64decode
from binascii import Error as Base64Error
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from teleport.errors import BadParameter
from teleport.kube.api_server import ApiServer, read_bounded
from teleport.kube.errors import BadAnswer
from teleport.private_file import write_private_file
from teleport.resources.strict_yaml import parse_documents

MAX_BYTES = 1024 * 1024

_UNSUPPORTED = ("exec", "auth-provider", "username", "impersonate", "as")


def load_kubeconfig(path: Path, folder: Path) -> ApiServer:
    """Read the API server of the present context.

    Args:
        path: of the kubeconfig.
        folder: of this process alone; what stands in the kubeconfig itself is written there, as libraries want files.

    Raises:
        BadParameter: the file cannot be read or understood, or the user proves itself in a way that is not known here.
    """
    try:
        documents = list(parse_documents(read_bounded(path, MAX_BYTES)))
    except BadAnswer as error:
        raise BadParameter(error.detail) from error
    config = documents[0] if documents and isinstance(documents[0], dict) else {}
    context = _find(config, "contexts", "context", _text(config, "current-context"), path)
    cluster = _find(config, "clusters", "cluster", _text(context, "cluster"), path)
    user = _find(config, "users", "user", _text(context, "user"), path) if context.get("user") else {}
    return _build(cluster, user, _Files(path.parent, folder))


@dataclass(frozen=True, slots=True)
class _Files:
    """Where a kubeconfig's relative paths begin, and where its inline data goes."""

    base: Path
    folder: Path

    def find(self, section: Mapping[str, Any], name: str) -> Path | None:
        """Return the file of a field, which may hold its content instead."""
        if data := _text(section, f"{name}-data"):
            try:
                return self.write(name, b64decode(data, validate=True))
            except Base64Error as error:
                raise BadParameter(f"kubeconfig: {name}-data is no base64") from error
        return self.base / text if (text := _text(section, name)) else None

    def write(self, name: str, content: bytes) -> Path:
        path = self.folder / name
        write_private_file(path, content)
        return path


def _build(cluster: Mapping[str, Any], user: Mapping[str, Any], files: _Files) -> ApiServer:
    for name in _UNSUPPORTED:
        if user.get(name):
            raise BadParameter(
                f"kubeconfig: a user with {name!r} is not supported; run `kubectl proxy` and point at it"
            )
    server = _text(cluster, "server").rstrip("/")
    if not server.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise BadParameter(
            "kubeconfig: the server must be an https:// address, or that of `kubectl proxy` on this host"
        )
    certificate, key = files.find(user, "client-certificate"), files.find(user, "client-key")
    token = _text(user, "token")
    token_file = files.write("token", token.encode()) if token else files.find(user, "tokenFile")
    ca_file = files.find(cluster, "certificate-authority")
    if server.startswith("https://") and ca_file is None:
        raise BadParameter("kubeconfig: the cluster needs certificate-authority or certificate-authority-data")
    return ApiServer(server, ca_file, token_file, (certificate, key) if certificate and key else None)


def _find(config: Mapping[str, Any], listed: str, kind: str, name: str, path: Path) -> Mapping[str, Any]:
    items = config.get(listed)
    for item in items if isinstance(items, list) else []:
        if isinstance(item, dict) and item.get("name") == name and isinstance(item.get(kind), dict):
            found: Mapping[str, Any] = item[kind]
            return found
    raise BadParameter(f"{path}: there is no {kind} {name[:64]!r}")


def _text(section: Mapping[str, Any], name: str) -> str:
    value = section.get(name)
    return value if isinstance(value, str) else ""
