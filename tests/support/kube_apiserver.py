"""A real Kubernetes API server with its etcd on this machine, and what an administrator does with it.

The programs are found where KUBEBUILDER_ASSETS says. There is no kubelet: pods exist without running, which is all that
tokens that are bound to them need.
"""

import base64
import json
import os
import shutil
import signal
import socket
import ssl
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from support.jwt_tokens import sign

ISSUER = "https://kubernetes.default.svc.cluster.local"
ADMIN_TOKEN = "administrator-of-the-test"
PROGRAMS = ("etcd", "kube-apiserver")
START_TIMEOUT = 60.0


def find_programs() -> dict[str, str] | None:
    """Return where the programs are, or None if one is missing."""
    folder = os.environ.get("KUBEBUILDER_ASSETS", "")
    found = {name: shutil.which(name, path=folder) or shutil.which(name) for name in PROGRAMS}
    return {name: path for name, path in found.items() if path} if all(found.values()) else None


def find_kubectl() -> str | None:
    """Return where the administrator's tool is, or None."""
    return shutil.which("kubectl", path=os.environ.get("KUBEBUILDER_ASSETS", "")) or shutil.which("kubectl")


@dataclass(slots=True)
class KubeApiServer:
    """A running API server."""

    folder: Path
    url: str
    command: Sequence[str]
    signing_key: Path
    etcd: subprocess.Popen[bytes]
    _process: subprocess.Popen[bytes] | None = None

    @property
    def process(self) -> subprocess.Popen[bytes]:
        assert self._process is not None
        return self._process

    def start(self) -> None:
        """Start it, and wait until it serves."""
        with (self.folder / "kube-apiserver.log").open("ab") as log:
            self._process = subprocess.Popen(self.command, stdout=log, stderr=log)
        self.wait_until_ready()

    def stop(self) -> None:
        """End it at once, also if it is frozen."""
        self.process.kill()
        self.process.wait()

    @contextmanager
    def frozen(self) -> Iterator[None]:
        """Let it hang for the time of a block: the kernel still takes connections, and nobody answers."""
        self.process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self.process.send_signal(signal.SIGCONT)

    @property
    def ca_file(self) -> Path:
        return self.folder / "certs" / "apiserver.crt"

    def ask(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, content_type: str = "application/json"
    ) -> dict[str, Any]:
        """Ask as the administrator; what is refused raises."""
        data = None if body is None else json.dumps(body).encode()
        headers = {"Authorization": f"Bearer {ADMIN_TOKEN}", "Content-Type": content_type}
        request = urllib.request.Request(self.url + path, data=data, headers=headers, method=method)  # noqa: S310 - https
        context = ssl.create_default_context(cafile=str(self.ca_file))
        with urllib.request.urlopen(request, context=context, timeout=10) as response:  # noqa: S310 - https
            found: dict[str, Any] = json.load(response)
        return found

    def create_service_account(self, namespace: str, name: str) -> None:
        """Make a ServiceAccount, and its namespace if that is not there."""
        self._create("/api/v1/namespaces", {"metadata": {"name": namespace}})
        self._create(f"/api/v1/namespaces/{namespace}/serviceaccounts", {"metadata": {"name": name}})

    def create_pod(self, namespace: str, name: str, service_account: str) -> str:
        """Make a pod and return its UID."""
        container = {"name": "app", "image": "app"}
        spec = {"serviceAccountName": service_account, "containers": [container], "automountServiceAccountToken": False}
        body = {"metadata": {"name": name}, "spec": spec}
        return str(self.ask("POST", f"/api/v1/namespaces/{namespace}/pods", body)["metadata"]["uid"])

    def set_phase(self, namespace: str, name: str, phase: str) -> None:
        """Let a pod be in a phase, as the kubelet says it."""
        body = {"status": {"phase": phase}}
        headers = "application/merge-patch+json"
        self.ask("PATCH", f"/api/v1/namespaces/{namespace}/pods/{name}/status", body, content_type=headers)

    def begin_deletion(self, namespace: str, name: str) -> None:
        """Delete a pod whose finalizer keeps it there, with its deletionTimestamp set."""
        path = f"/api/v1/namespaces/{namespace}/pods/{name}"
        held = {"metadata": {"finalizers": ["example.com/held"]}}
        self.ask("PATCH", path, held, content_type="application/merge-patch+json")
        self.ask("DELETE", path, {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0})

    def delete_service_account(self, namespace: str, name: str) -> None:
        """Delete a ServiceAccount."""
        self.ask("DELETE", f"/api/v1/namespaces/{namespace}/serviceaccounts/{name}")

    def delete_pod(self, namespace: str, name: str) -> None:
        """Delete a pod at once."""
        body = {"apiVersion": "v1", "kind": "DeleteOptions", "gracePeriodSeconds": 0}
        self.ask("DELETE", f"/api/v1/namespaces/{namespace}/pods/{name}", body)

    def request_token(
        self, namespace: str, service_account: str, audiences: list[str], bound_to: dict[str, str] | None = None
    ) -> str:
        """Return a ServiceAccount token; without audiences it is for the API server."""
        spec: dict[str, Any] = {"audiences": audiences or [ISSUER], "expirationSeconds": 600}
        if bound_to is not None:
            spec["boundObjectRef"] = bound_to
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token"
        return str(self.ask("POST", path, {"spec": spec})["status"]["token"])

    def request_pod_token(self, namespace: str, service_account: str, pod: str, uid: str, *audiences: str) -> str:
        """Return a token as the kubelet gets it for a pod."""
        bound = {"kind": "Pod", "apiVersion": "v1", "name": pod, "uid": uid}
        return self.request_token(namespace, service_account, list(audiences), bound)

    def create_legacy_token(self, namespace: str, service_account: str) -> str:
        """Return a token that lives in a Secret, as clusters made them before 1.24."""
        path = f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}"
        uid = self.ask("GET", path)["metadata"]["uid"]
        prefix = "kubernetes.io/serviceaccount"
        claims = {
            "iss": "kubernetes/serviceaccount",
            "sub": f"system:serviceaccount:{namespace}:{service_account}",
            f"{prefix}/namespace": namespace,
            f"{prefix}/secret.name": "old",
            f"{prefix}/service-account.name": service_account,
            f"{prefix}/service-account.uid": uid,
        }
        token = self.sign(claims)
        annotations = {"kubernetes.io/service-account.name": service_account}
        annotations["kubernetes.io/service-account.uid"] = uid
        body = {
            "metadata": {"name": "old", "annotations": annotations},
            "type": "kubernetes.io/service-account-token",
            "data": {"token": base64.b64encode(token.encode()).decode()},
        }
        self.ask("POST", f"/api/v1/namespaces/{namespace}/secrets", body)
        return token

    def sign(self, claims: dict[str, Any]) -> str:
        """Return a token by the cluster's own key."""
        key = serialization.load_pem_private_key(self.signing_key.read_bytes(), password=None)
        assert isinstance(key, rsa.RSAPrivateKey)
        return sign(claims, key=key, kid=None)

    def bind(self, role: str, namespace: str, service_account: str) -> str:
        """Bind a ClusterRole to a ServiceAccount and return the binding's name."""
        name = f"{role.replace(':', '-')}-{namespace}-{service_account}"
        subject = {"kind": "ServiceAccount", "namespace": namespace, "name": service_account}
        role_ref = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role}
        body = {"metadata": {"name": name}, "roleRef": role_ref, "subjects": [subject]}
        self._create("/apis/rbac.authorization.k8s.io/v1/clusterrolebindings", body)
        return name

    def unbind(self, name: str) -> None:
        """Take a binding away."""
        self.ask("DELETE", f"/apis/rbac.authorization.k8s.io/v1/clusterrolebindings/{name}")

    def create_cluster_role(self, name: str, resources: str, verbs: str) -> None:
        """Make a ClusterRole of one rule; several resources and verbs are separated by commas."""
        rule = {"apiGroups": [""], "resources": resources.split(","), "verbs": verbs.split(",")}
        self._create("/apis/rbac.authorization.k8s.io/v1/clusterroles", {"metadata": {"name": name}, "rules": [rule]})

    def create(self, manifest: dict[str, Any]) -> None:
        """Make an object of RBAC as `kubectl create -f` does."""
        namespace = manifest["metadata"].get("namespace", "")
        where = f"/namespaces/{namespace}" if namespace else ""
        self.ask("POST", f"/apis/{manifest['apiVersion']}{where}/{manifest['kind'].lower()}s", manifest)

    def run_as_administrator(self, command: str) -> None:
        """Run a command of a shell in which `kubectl` is the administrator's; what fails raises."""
        kubectl = find_kubectl()
        assert kubectl is not None
        flags = f"--server={self.url} --certificate-authority={self.ca_file} --token={ADMIN_TOKEN}"
        script = f'kubectl() {{ "{kubectl}" {flags} "$@"; }}\n{command}'
        subprocess.run(["sh", "-ec", script], check=True, capture_output=True, timeout=60)

    def allow_state(self, namespace: str, service_account: str, secret: str) -> None:
        """Let a ServiceAccount keep one Secret in its namespace; the right to create knows no names."""
        role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "state"}
        secrets = {"apiGroups": [""], "resources": ["secrets"]}
        rules = [secrets | {"verbs": ["create"]}, secrets | {"verbs": ["get", "patch"], "resourceNames": [secret]}]
        subject = {"kind": "ServiceAccount", "namespace": namespace, "name": service_account}
        path = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{namespace}"
        self._create(f"{path}/roles", {"metadata": {"name": "state"}, "rules": rules})
        self._create(f"{path}/rolebindings", {"metadata": {"name": "state"}, "roleRef": role, "subjects": [subject]})

    def find_secret(self, namespace: str, name: str) -> dict[str, Any] | None:
        """Return a Secret, or None if there is none of that name."""
        try:
            return self.ask("GET", f"/api/v1/namespaces/{namespace}/secrets/{name}")
        except urllib.error.HTTPError as error:
            if error.code != 404:
                raise
            return None

    def _create(self, path: str, body: dict[str, Any]) -> None:
        try:
            self.ask("POST", path, body)
        except urllib.error.HTTPError as error:
            if error.code != 409:
                raise

    def wait_until_ready(self) -> None:
        """Wait until it serves, and grants what every cluster grants from the start."""
        end = time.monotonic() + START_TIMEOUT
        while time.monotonic() < end:
            assert self.process.poll() is None, self._read_log()
            with suppress(OSError, ValueError):
                if self._grants_the_usual():
                    return
            time.sleep(0.1)
        raise AssertionError(self._read_log())

    def _grants_the_usual(self) -> bool:
        usual = {"path": "/openid/v1/jwks", "verb": "get"}
        spec = {"user": "anybody", "groups": ["system:serviceaccounts"], "nonResourceAttributes": usual}
        answer = self.ask("POST", "/apis/authorization.k8s.io/v1/subjectaccessreviews", {"spec": spec})
        return bool(answer["status"]["allowed"])

    def _read_log(self) -> str:
        return (self.folder / "kube-apiserver.log").read_text()[-3000:]


@contextmanager
def running_apiserver(folder: Path) -> Iterator[KubeApiServer]:
    """Run an API server for the time of a block."""
    programs = find_programs()
    assert programs is not None
    clients, peers, port = (_free_port() for _ in range(3))
    folder.mkdir(parents=True, exist_ok=True)
    signing_key = _write_signing_key(folder)
    (folder / "tokens.csv").write_text(f"{ADMIN_TOKEN},admin,admin,system:masters\n")
    with ExitStack() as stack:
        etcd = stack.enter_context(
            _process(
                folder / "etcd.log",
                programs["etcd"],
                f"--data-dir={folder / 'etcd'}",
                f"--listen-client-urls=http://127.0.0.1:{clients}",
                f"--advertise-client-urls=http://127.0.0.1:{clients}",
                f"--listen-peer-urls=http://127.0.0.1:{peers}",
                f"--initial-advertise-peer-urls=http://127.0.0.1:{peers}",
                f"--initial-cluster=default=http://127.0.0.1:{peers}",
                "--unsafe-no-fsync",
            )
        )
        command = [
            programs["kube-apiserver"],
            f"--etcd-servers=http://127.0.0.1:{clients}",
            "--bind-address=127.0.0.1",
            f"--secure-port={port}",
            f"--cert-dir={folder / 'certs'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--service-cluster-ip-range=10.0.0.0/24",
            f"--service-account-issuer={ISSUER}",
            f"--service-account-key-file={signing_key}",
            f"--service-account-signing-key-file={signing_key}",
            "--disable-admission-plugins=ServiceAccount",
        ]
        server = KubeApiServer(folder, f"https://127.0.0.1:{port}", command, signing_key, etcd)
        stack.callback(server.stop)
        server.start()
        yield server


@contextmanager
def _process(log: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output)
    try:
        yield process
    finally:
        process.kill()
        process.wait()


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _write_signing_key(folder: Path) -> Path:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    path = folder / "sa.key"
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()
    )
    path.write_bytes(pem)
    return path
