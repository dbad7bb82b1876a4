"""A Kubernetes cluster of one node in a container, and what its administrator does with it."""

import json
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import uuid4

from pytest_kind import KindCluster

from support.container_image import CHECKOUT
from support.fresh_host import find_obstacle
from support.processes import wait_until
from teleport.resources.strict_yaml import render_yaml

NODE_IMAGE = "kindest/node:v1.34.4"
CLUSTER = f"teleport-e2e-{CHECKOUT}"
PATIENCE = 180.0
"""Seconds after which a test gives up waiting; a node that starts on a busy machine takes a third of it."""
PAUSE = 0.3
API_SERVER = "/etc/kubernetes/manifests/kube-apiserver.yaml"
PARKED = "/root/kube-apiserver.yaml"
CONTAINERD = ("ctr", "--namespace=k8s.io")
USER = "9807:9807"

Document = dict[str, Any]


def find_kind_obstacle(node_image: str) -> str | None:
    """Return why there can be no cluster, or None if there can."""
    for program in ("kind", "kubectl"):
        if shutil.which(program) is None:
            return f"{program} is not installed"
    return find_obstacle(node_image)


class Kubernetes:
    """A cluster that runs.

    Args:
        cluster: made by pytest-kind.
    """

    def __init__(self, cluster: KindCluster) -> None:
        self._cluster = cluster
        self._node = f"{cluster.name}-control-plane"

    def load_image(self, local: str, name: str) -> None:
        """Give the node an image of this machine, under the name by which manifests know it."""
        self._cluster.load_docker_image(local)
        prefix = "docker.io/library/"
        self.run_on_node(*CONTAINERD, "images", "tag", "--force", prefix + local, prefix + name)

    def wait_until_ready(self) -> None:
        """Wait until pods can be started."""
        self.kubectl("wait", "--for=condition=Ready", "nodes", "--all", f"--timeout={PATIENCE:.0f}s")
        ready = ("get", "serviceaccount", "default", "--namespace=default")
        wait_until(
            lambda: self.try_kubectl(*ready).returncode == 0, "the cluster is ready", pause=PAUSE, patience=PATIENCE
        )

    def try_kubectl(self, *arguments: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run kubectl to its end, whatever that is."""
        command = ("kubectl", f"--kubeconfig={self._cluster.kubeconfig_path}", *arguments)
        return _run(*command, stdin=stdin)

    def kubectl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run kubectl, which must succeed, and return what it printed."""
        done = self.try_kubectl(*arguments, stdin=stdin)
        assert done.returncode == 0, f"kubectl {' '.join(arguments)}: {done.stderr}"
        return done.stdout

    def run_shell(self, line: str, folder: Path) -> str:
        """Run a line of a guide in a shell, in a folder; it must succeed. Return what it printed."""
        kubeconfig = self._cluster.kubeconfig_path.absolute()
        script = f"set -eu -o pipefail; export KUBECONFIG={kubeconfig}; {line}"
        done = subprocess.run(
            ["bash", "-c", script], cwd=folder, capture_output=True, text=True, timeout=PATIENCE, check=False
        )
        assert done.returncode == 0, f"{line}: {done.stderr}"
        return done.stdout

    def apply(self, *documents: Document) -> None:
        """Make objects, or change them to what the documents say."""
        self.kubectl("apply", "--filename=-", stdin="---\n".join(map(render_yaml, documents)))

    def get(self, kind: str, name: str, namespace: str) -> Document:
        """Return an object."""
        found: Document = json.loads(self.kubectl("get", kind, name, f"--namespace={namespace}", "--output=json"))
        return found

    def get_log(self, namespace: str, pod: str) -> str:
        """Return what a pod has said so far; nothing before it runs."""
        done = self.try_kubectl("logs", pod, f"--namespace={namespace}")
        return done.stdout if done.returncode == 0 else ""

    def wait_for_log(self, namespace: str, pod: str, text: str) -> str:
        """Wait until a pod has said something; return its log."""

        def look() -> str | None:
            log = self.get_log(namespace, pod)
            return log if text in log else None

        return wait_until(look, f"{pod} says {text!r}", pause=PAUSE, patience=PATIENCE)

    def wait_until_pod_ready(self, namespace: str, pod: str) -> None:
        """Wait until a pod is ready."""
        self.kubectl("wait", "--for=condition=Ready", f"pod/{pod}", f"--namespace={namespace}", "--timeout=120s")

    def delete_pod(self, namespace: str, pod: str) -> None:
        """Delete a pod at once."""
        self.kubectl("delete", "pod", pod, f"--namespace={namespace}", "--force", "--grace-period=0")

    def run_on_node(self, *command: str) -> str:
        """Run a command on the node; it must succeed. Return what it printed."""
        done = _run("docker", "exec", self._node, *command)
        assert done.returncode == 0, done.stderr
        return done.stdout

    def find_container(self, namespace: str, pod: str, container: str = "teleport") -> str:
        """Return the id of the container that runs in a pod now, or nothing; the API server is not asked."""
        labels = {"pod.namespace": namespace, "pod.name": pod, "container.name": container}
        query = ",".join(f'labels."io.kubernetes.{name}"=={value}' for name, value in labels.items())
        known = self.run_on_node(*CONTAINERD, "containers", "ls", "--quiet", query).split()
        tasks = [line.split() for line in self.run_on_node(*CONTAINERD, "tasks", "ls").splitlines()]
        return next((task for task, _, status in tasks if task in known and status == "RUNNING"), "")

    def try_in_pod(self, namespace: str, pod: str, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command in a pod to its end, whatever that is; the API server is not asked."""
        container = self.find_container(namespace, pod)
        inside = (*CONTAINERD, "tasks", "exec", "--exec-id", uuid4().hex, "--user", USER, container, *command)
        return _run("docker", "exec", self._node, *inside)

    def end_container(self, namespace: str, pod: str) -> None:
        """Tell the container of a pod to end; the kubelet starts the next one. The API server is not asked."""
        self.run_on_node(*CONTAINERD, "tasks", "kill", "--signal=SIGTERM", self.find_container(namespace, pod))

    def freeze_container(self, namespace: str, pod: str, container: str = "teleport") -> None:
        """Let the processes of a pod hang, so that they cannot even end."""
        self.run_on_node(*CONTAINERD, "tasks", "pause", self.find_container(namespace, pod, container))

    def read_log_file(self, namespace: str, pod: str) -> str:
        """Return what the containers of a pod have said; the API server is not asked."""
        return self.run_on_node("sh", "-c", f"cat /var/log/pods/{namespace}_{pod}_*/teleport/*.log")

    @contextmanager
    def without_api_server(self) -> Iterator[None]:
        """Stop the API server for the time of a block; pods go on, and kubectl does not work."""
        self.run_on_node("mv", API_SERVER, PARKED)
        try:
            wait_until(lambda: not self._answers(), "the API server is gone", pause=PAUSE, patience=PATIENCE)
            yield
        finally:
            self.run_on_node("mv", PARKED, API_SERVER)
            wait_until(self._answers, "the API server is back", pause=PAUSE, patience=PATIENCE)

    def _answers(self) -> bool:
        return self.try_kubectl("get", "--raw=/readyz", "--request-timeout=2s").returncode == 0

    def save_artefacts(self, folder: Path) -> None:
        """Write down what helps to see why a test failed: events, pods, what is declared, logs."""
        folder.mkdir(parents=True, exist_ok=True)
        for name, arguments in (
            ("events", ("get", "events", "--all-namespaces", "--sort-by=.lastTimestamp")),
            ("pods", ("get", "pods", "--all-namespaces", "--output=wide")),
            ("describe", ("describe", "pods", "--all-namespaces")),
            ("objects", ("get", "teleportprovisiontokens", "--all-namespaces", "--output=yaml")),
        ):
            (folder / f"{name}.txt").write_text(self.try_kubectl(*arguments, "--request-timeout=20s").stdout)
        listed = self.try_kubectl("get", "pods", "--all-namespaces", "--no-headers", "--request-timeout=20s").stdout
        for namespace, pod, *_ in (line.split() for line in listed.splitlines()):
            (folder / f"{namespace}-{pod}.log").write_text(self.get_log(namespace, pod))


def delete_leftover() -> None:
    """Delete the cluster that a run of this checkout's tests left behind when it was cut off."""
    _run("kind", "delete", "cluster", f"--name={CLUSTER}")


def _run(*command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        command,
        input=stdin,
        stdin=subprocess.DEVNULL if stdin is None else None,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )
