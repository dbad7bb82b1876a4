"""TeleportProvisionToken objects on a real API server, asked for by the administrator."""

import json
import ssl
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml

from support.declared import CRD_FILE
from support.kube_apiserver import ADMIN_TOKEN, KubeApiServer
from teleport_operator.declaration import API_VERSION, GROUP, KIND, PLURAL, VERSION

DEFINITIONS = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
OBJECTS = f"/apis/{GROUP}/{VERSION}/namespaces/default/{PLURAL}"
APPLY = "application/apply-patch+yaml"
MERGE = "application/merge-patch+json"
TIMEOUT = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the API server says."""

    code: int
    body: dict[str, Any]
    warnings: str = ""

    @property
    def accepted(self) -> bool:
        return self.code < 300

    @property
    def message(self) -> str:
        return str(self.body.get("message", ""))

    @property
    def fields(self) -> list[str]:
        """Return the fields that a refusal names."""
        return [cause.get("field", "") for cause in self.body.get("details", {}).get("causes", [])]


class TokenObjects:
    """The objects of the namespace `default`, and their definition."""

    def __init__(self, server: KubeApiServer) -> None:
        self._server = server

    def install(self, definition: Mapping[str, Any] | None = None) -> None:
        """Install a definition, by default ours, and wait until the API server goes by it."""
        wanted = definition or yaml.safe_load(CRD_FILE.read_text())
        path = f"{DEFINITIONS}/{wanted['metadata']['name']}"
        answer = self.ask("PATCH", f"{path}?fieldManager=test&force=true", wanted, APPLY)
        assert answer.accepted, answer
        self._wait(lambda: self._is_established(path))

    def _is_established(self, path: str) -> bool:
        conditions = self.ask("GET", path).body.get("status", {}).get("conditions") or []
        established = any(one["type"] == "Established" and one["status"] == "True" for one in conditions)
        return established and self.ask("GET", OBJECTS).accepted

    def create(self, name: str, spec: object, query: str = "") -> Answer:
        """Create an object; without a spec it has none."""
        return self.ask("POST", f"{OBJECTS}?{query}", build(name, spec))

    def apply(self, name: str, spec: object, query: str = "", manager: str = "person") -> Answer:
        """Apply an object on the server's side."""
        return self.ask("PATCH", f"{OBJECTS}/{name}?fieldManager={manager}&{query}", build(name, spec), APPLY)

    def get(self, name: str) -> dict[str, Any]:
        """Return an object."""
        answer = self.ask("GET", f"{OBJECTS}/{name}")
        assert answer.accepted, answer
        return answer.body

    def exists(self, name: str) -> bool:
        return self.ask("GET", f"{OBJECTS}/{name}").accepted

    def merge(self, name: str, patch: Mapping[str, Any], subresource: str = "") -> Answer:
        """Merge a patch into an object."""
        return self.ask("PATCH", f"{OBJECTS}/{name}{subresource}", patch, MERGE)

    def apply_status(self, name: str, status: Mapping[str, Any], manager: str = "operator") -> Answer:
        """Apply a status, as the operator does."""
        body = {**build(name, None), "status": status}
        return self.ask("PATCH", f"{OBJECTS}/{name}/status?fieldManager={manager}&force=true", body, APPLY)

    def delete(self, name: str) -> Answer:
        return self.ask("DELETE", f"{OBJECTS}/{name}")

    def render_table(self, name: str) -> dict[str, Any]:
        """Return the cells of an object by their columns, as `kubectl get -o wide` shows them."""
        table = self.ask("GET", f"{OBJECTS}/{name}", accept="application/json;as=Table;g=meta.k8s.io;v=v1").body
        names = [column["name"] for column in table["columnDefinitions"]]
        return dict(zip(names, table["rows"][0]["cells"], strict=True))

    def wait_for(self, name: str, spec: object, *, accepted: bool) -> Answer:
        """Ask again until the API server goes by what was installed last: a new rule takes a moment."""
        self._wait(lambda: self.create(name, spec, "dryRun=All").accepted is accepted)
        return self.create(name, spec, "dryRun=All")

    def _wait(self, holds: Any) -> None:
        end = time.monotonic() + TIMEOUT
        while not holds():
            assert time.monotonic() < end
            time.sleep(0.1)

    def ask(
        self, method: str, path: str, body: object = None, content: str = "application/json", accept: str = "*/*"
    ) -> Answer:
        """Ask as the administrator."""
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": content, "Accept": accept}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(self._server.url + path, data, headers, method=method)  # noqa: S310 - https
        context = ssl.create_default_context(cafile=str(self._server.ca_file))
        try:
            with urllib.request.urlopen(request, context=context, timeout=10) as response:  # noqa: S310 - https
                return Answer(response.status, json.load(response), response.headers.get("Warning", ""))
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, json.load(error))


def build(name: str, spec: object) -> dict[str, Any]:
    """Build a manifest."""
    plain: dict[str, Any] = {"apiVersion": API_VERSION, "kind": KIND, "metadata": {"name": name}}
    return plain if spec is None else {**plain, "spec": spec}
