"""An agent that finds the files of a pod where Kubernetes mounts them: a process with a mount namespace of its own."""

import base64
import shutil
import subprocess
from pathlib import Path
from typing import Any

from support.cluster import Agent
from support.kube_apiserver import KubeApiServer
from support.processes import wait_until
from teleport.agent.memory import AgentState
from teleport.agent.secret_items import parse_items

MOUNTED = 'mount -t tmpfs none /var/run && mkdir -p "$1" && mount --bind "$0" "$1" && shift && exec "$@"'
TARGET = "/var/run/secrets/kubernetes.io/serviceaccount"
UNSHARE = ("unshare", "--map-root-user", "--mount", "sh", "-c")


def is_possible() -> bool:
    """Return whether this machine lets a process mount things for itself."""
    if shutil.which("unshare") is None:
        return False
    return subprocess.run([*UNSHARE, "mount -t tmpfs none /var/run"], capture_output=True, check=False).returncode == 0


def write_pod_files(kubernetes: KubeApiServer, namespace: str, folder: Path, replica: str = "app-0") -> dict[str, str]:
    """Write what Kubernetes mounts into a pod of the ServiceAccount `app`, and return its environment."""
    folder.mkdir(parents=True)
    (folder / "token").write_text(kubernetes.request_token(namespace, "app", []))
    (folder / "ca.crt").write_bytes(kubernetes.ca_file.read_bytes())
    host, _, port = kubernetes.url.removeprefix("https://").partition(":")
    return {
        "KUBERNETES_SERVICE_HOST": host,
        "KUBERNETES_SERVICE_PORT": port,
        "KUBE_NAMESPACE": namespace,
        "TELEPORT_REPLICA_NAME": replica,
        "RELEASE_NAME": "agents",
    }


def read_state(kubernetes: KubeApiServer, namespace: str, name: str) -> AgentState:
    """Return what stands in a Secret; nothing if there is none."""
    found = kubernetes.find_secret(namespace, name) or {}
    return parse_items({key: base64.b64decode(value) for key, value in found.get("data", {}).items()})


class AgentPod:
    """An agent as the replica of a release, in a pod whose disk is its own.

    Args:
        kubernetes: the API server.
        agent: is not started yet, and has the pod's name.
        namespace: of the pod; its ServiceAccount is `app`.
        folder: for the files of the pod.
        replica: what it believes to be.
    """

    def __init__(
        self, kubernetes: KubeApiServer, agent: Agent, *, namespace: str, folder: Path, replica: str = "app-0"
    ) -> None:
        self._kubernetes = kubernetes
        self.agent = agent
        self.namespace = namespace
        self.secret_name = f"{replica}-state"
        agent.process.environment |= write_pod_files(kubernetes, namespace, folder, replica)
        agent.runner = (*UNSHARE, MOUNTED, str(folder), TARGET)

    def find_secret(self) -> dict[str, Any] | None:
        """Return the Secret as the administrator sees it, or None if there is none."""
        return self._kubernetes.find_secret(self.namespace, self.secret_name)

    def read_state(self) -> AgentState:
        """Return what stands in the Secret."""
        return read_state(self._kubernetes, self.namespace, self.secret_name)

    def wait_for_state(self, *, joined: bool) -> AgentState:
        """Wait until the Secret holds an identity, or the keys that shall become one."""
        wait_until(
            lambda: (self.read_state().joined if joined else self.read_state().pending_keys) is not None,
            f"Secret {self.secret_name} holds {'an identity' if joined else 'keys'}",
        )
        return self.read_state()

    def write_secret(self, **data: str) -> None:
        """Make the Secret as the administrator, with something else in it."""
        body = {"metadata": {"name": self.secret_name}, "stringData": data}
        self._kubernetes.ask("POST", f"/api/v1/namespaces/{self.namespace}/secrets", body)
