"""The operator as a real process between a real API server and a real auth server, and what people do with objects."""

import json
import subprocess
import sys
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.cluster import PATIENT, AuthServer
from support.kube_apiserver import KubeApiServer
from support.processes import PATIENCE, Process, Processes, build_environment, wait_until
from teleport.resources.strict_yaml import parse_documents, render_yaml

ROOT = Path(__file__).parents[2]
NAMESPACE, ACCOUNT, POD = "teleport", "teleport-operator", "operator-0"
GROUP = "/apis/resources.teleport.dev/v2"
Document = dict[str, Any]


def read_manifest(path: str) -> list[Document]:
    """Return the documents of a manifest of this project."""
    return list(parse_documents((ROOT / path).read_text()))


def install_crd(kubernetes: KubeApiServer) -> None:
    """Let the API server know the kind."""
    path = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    (crd,) = read_manifest("crds/resources.teleport.dev_teleportprovisiontokens.yaml")
    kubernetes.ask("POST", path, crd)

    def is_served() -> bool:
        try:
            kubernetes.ask("GET", f"{GROUP}/teleportprovisiontokens")
        except urllib.error.HTTPError:
            return False
        return True

    wait_until(is_served, "the kind is served")


def install_rbac(kubernetes: KubeApiServer, namespace: str = NAMESPACE, manifest: str = "rbac.yaml") -> None:
    """Apply the operator's own manifests in a namespace, as a person does."""
    kubernetes.create_service_account(namespace, ACCOUNT)
    own = read_manifest("operator/deploy/account.yaml") if namespace == NAMESPACE else []
    for document in (*own, *read_manifest(f"operator/deploy/{manifest}")):
        if document["apiVersion"].startswith("rbac."):
            where = "" if document["kind"].startswith("Cluster") else f"/namespaces/{namespace}"
            path = f"/apis/rbac.authorization.k8s.io/v1{where}/{document['kind'].lower()}s"
            kubernetes.ask("POST", path, document)


def prepare_kubernetes(kubernetes: KubeApiServer, rbac: str = "rbac.yaml") -> None:
    """Let the API server know what the operator and auth need of it."""
    install_crd(kubernetes)
    install_rbac(kubernetes, manifest=rbac)
    kubernetes.create_service_account(NAMESPACE, "auth")
    kubernetes.bind("system:auth-delegator", NAMESPACE, "auth")


def start_auth(
    kubernetes: KubeApiServer, processes: Processes, folder: Path, teleport: Document = PATIENT
) -> AuthServer:
    """Start an auth server that reviews tokens by the API server, and admits the operator.

    Args:
        kubernetes: the API server.
        processes: look after it.
        folder: for its files.
        teleport: the section of its configuration, which says how many joins may be refused.
    """
    folder.mkdir(exist_ok=True)
    token_file = folder / "auth-token"
    pod = f"auth-{folder.name}".replace("_", "-")
    uid = kubernetes.create_pod(NAMESPACE, pod, "auth")
    token_file.write_text(kubernetes.request_pod_token(NAMESPACE, "auth", pod, uid))
    settings = {"api_server": kubernetes.url, "ca_file": str(kubernetes.ca_file), "token_file": str(token_file)}
    auth = AuthServer(processes, folder / "auth", auth_service={"kubernetes": settings}, teleport=teleport).start()
    admit_operator(auth)
    return auth


def admit_operator(auth: AuthServer) -> None:
    """Store the token by which the operator joins."""
    (token,) = read_manifest("operator/deploy/token.yaml")
    auth.create(token)


@dataclass(slots=True)
class Operator:
    """One operator process; `start` and its like may be called again and again."""

    processes: Processes
    folder: Path
    kubernetes: KubeApiServer
    auth: AuthServer
    flags: tuple[str, ...] = ()
    api_url: str = ""
    """Where it finds the API server, if it shall go through something."""
    process: Process = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        diag = self.processes.reserve_address()
        command = (
            sys.executable,
            "-m",
            "teleport_operator",
            f"--auth-server={self.auth.address}",
            f"--ca-pin={self.auth.get_pin()}",
            f"--kubeconfig={self.folder / 'kubeconfig'}",
            f"--namespace={NAMESPACE}",
            f"--diag-addr={diag}",
            "--drift-interval=1s",
            *self.flags,
        )
        self.process = Process(command, log=self.folder / "operator.log", diag=diag)
        self.processes.add(self.process)

    def preflight(self, *flags: str) -> subprocess.CompletedProcess[str]:
        """Check what it needs, as a person does before it is started."""
        self._write_files()
        environment = build_environment() | self.process.environment
        command = (*self.process.arguments, *flags, "preflight")
        return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False, env=environment)

    def start(self) -> "Operator":
        """Start it as a pod would be, and wait until it is ready."""
        self.launch()
        self.process.wait_for_status(200)
        return self

    def launch(self) -> None:
        """Start it as a pod would be, and do not wait."""
        self._write_files()
        self.process.start()

    def _write_files(self) -> None:
        """Write what a kubelet would mount: one token for the API server, and one for auth."""
        pod = f"{POD}-{self.folder.name}"
        try:
            uid = self.kubernetes.create_pod(NAMESPACE, pod, ACCOUNT)
        except urllib.error.HTTPError:
            uid = self.kubernetes.ask("GET", f"/api/v1/namespaces/{NAMESPACE}/pods/{pod}")["metadata"]["uid"]
        joining = self.kubernetes.request_pod_token(NAMESPACE, ACCOUNT, pod, uid, self.auth.cluster_name)
        (self.folder / "joining-token").write_text(joining)
        self.process.environment["KUBERNETES_TOKEN_PATH"] = str(self.folder / "joining-token")
        (self.folder / "api-token").write_text(self.kubernetes.request_pod_token(NAMESPACE, ACCOUNT, pod, uid))
        kubeconfig = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "operator"}}],
            "clusters": [
                {
                    "name": "test",
                    "cluster": {
                        "server": self.api_url or self.kubernetes.url,
                        "certificate-authority": str(self.kubernetes.ca_file),
                    },
                }
            ],
            "users": [{"name": "operator", "user": {"tokenFile": str(self.folder / "api-token")}}],
        }
        (self.folder / "kubeconfig").write_text(render_yaml(kubeconfig))


OperatorFactory = Callable[..., Operator]


@dataclass(slots=True)
class Objects:
    """TeleportProvisionToken objects of one namespace, as an administrator changes them."""

    kubernetes: KubeApiServer
    namespace: str = NAMESPACE

    @property
    def path(self) -> str:
        return f"{GROUP}/namespaces/{self.namespace}/teleportprovisiontokens"

    def apply(self, name: str, spec: Document, **annotations: str) -> Document:
        """Create an object, or change it by server-side apply."""
        body = build_manifest(name, spec, **annotations)
        path = f"{self.path}/{name}?fieldManager=kubectl&force=true"
        return self.kubernetes.ask("PATCH", path, body, content_type="application/apply-patch+yaml")

    def get(self, name: str) -> Document | None:
        """Return an object, or None."""
        try:
            return self.kubernetes.ask("GET", f"{self.path}/{name}")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None

    def delete(self, name: str) -> None:
        """Delete an object, and do not wait."""
        self.kubernetes.ask("DELETE", f"{self.path}/{name}")

    def find_condition(self, name: str, type_: str = "Ready") -> Document:
        """Return a condition of an object, or an empty one."""
        found = self.get(name) or {}
        conditions = found.get("status", {}).get("conditions", [])
        return next((each for each in conditions if each["type"] == type_), {})

    def wait_for(self, name: str, reason: str, type_: str = "Ready") -> Document:
        """Wait until a condition has a reason that is about the present generation; return the object."""

        def look() -> Document | None:
            found = self.get(name)
            if found is None:
                return None
            conditions = found["status"]["conditions"]
            condition: Document = next((each for each in conditions if each["type"] == type_), {})
            is_current = condition.get("observedGeneration") == found["metadata"]["generation"]
            return found if is_current and condition.get("reason") == reason else None

        return wait_until(look, f"{self.namespace}/{name}: {type_} says {reason}")

    def wait_until_gone(self, name: str) -> None:
        """Wait until an object is no more."""
        wait_until(lambda: self.get(name) is None, f"{self.namespace}/{name} is gone")

    def wait_for_event(self, name: str, type_: str, reason: str) -> None:
        """Wait until an Event tells something of an object."""
        wait_until(lambda: (type_, reason) in self.list_events(name), f"an Event tells {reason} of {name}")

    def list_events(self, name: str) -> list[tuple[str, str]]:
        """Return type and reason of the Events about an object, in their order."""
        events = self.kubernetes.ask("GET", f"/api/v1/namespaces/{self.namespace}/events")["items"]
        about = [each for each in events if each["involvedObject"]["name"] == name]
        return [(each["type"], each["reason"]) for each in sorted(about, key=_when)]


def _when(event: Document) -> str:
    return str(event["metadata"]["creationTimestamp"])


def build_manifest(name: str, spec: Document, **annotations: str) -> Document:
    """Return the manifest of an object."""
    keys = {
        "keep": "teleport.dev/keep",
        "ignore": "teleport.dev/ignore",
        "rotate": "resources.teleport.dev/rotate",
        "expires": "resources.teleport.dev/expires",
        "description": "description",
    }
    metadata: Document = {"name": name}
    if annotations:
        metadata["annotations"] = {keys[key]: text for key, text in annotations.items()}
    return {
        "apiVersion": "resources.teleport.dev/v2",
        "kind": "TeleportProvisionToken",
        "metadata": metadata,
        "spec": spec,
    }


def find_token(auth: AuthServer, name: str) -> Document | None:
    """Return a token as `tctl get` shows it, or None."""
    done = auth.run_tctl("get", f"token/{name}", "--with-secrets", "--format=json")
    if done.returncode != 0:
        return None
    found: list[Document] = json.loads(done.stdout)
    return found[0]
