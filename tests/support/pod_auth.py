"""The auth server of `examples/02-kubernetes` in a real pod, and what its administrator sees."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from support.fresh_host import ROOT
from support.kind import PATIENCE, PAUSE, Kubernetes
from support.processes import wait_until
from teleport.resources.strict_yaml import render_yaml
from teleport.version import VERSION

EXAMPLE = ROOT / "examples" / "02-kubernetes"
CLUSTER_NAME = "example.com"
IMAGE_NAME = f"teleport:{VERSION}"
"""What the manifests name."""


@dataclass(frozen=True, slots=True)
class Auth:
    """The auth server of `auth.yaml`."""

    kubernetes: Kubernetes

    NAMESPACE = "teleport"
    DEPLOYMENT = "deployment/teleport-auth"

    def start(self) -> None:
        """Make it, and wait until it is ready."""
        self.kubernetes.kubectl("apply", f"--filename={EXAMPLE / 'auth.yaml'}")
        self.wait_until_ready()

    def restart(self) -> None:
        """Start it again with the image that the node has now."""
        self.kubernetes.kubectl("rollout", "restart", f"--namespace={self.NAMESPACE}", self.DEPLOYMENT)
        self.wait_until_ready()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Let it have no pod for the time of a block."""
        scale = ("scale", f"--namespace={self.NAMESPACE}", self.DEPLOYMENT)
        self.kubernetes.kubectl(*scale, "--replicas=0")
        gone = ("wait", "--for=delete", "pod", "--selector=app=teleport-auth", "--timeout=120s")
        self.kubernetes.kubectl(*gone, f"--namespace={self.NAMESPACE}")
        try:
            yield
        finally:
            self.kubernetes.kubectl(*scale, "--replicas=1")
            self.wait_until_ready()

    def wait_until_ready(self) -> None:
        """Wait until its readiness tells of nothing."""
        self.kubernetes.kubectl("rollout", "status", f"--namespace={self.NAMESPACE}", self.DEPLOYMENT, "--timeout=180s")

    def wait_until_not_ready(self) -> None:
        """Wait until its readiness tells of something, and Kubernetes has seen that."""
        self.kubernetes.kubectl(
            "wait", "--for=condition=Ready=false", f"--namespace={self.NAMESPACE}", f"pod/{self.pod}", "--timeout=120s"
        )

    @property
    def pod(self) -> str:
        """Return the name of its pod."""
        query = ("get", "pods", f"--namespace={self.NAMESPACE}", "--selector=app=teleport-auth", "--output=name")
        return self.kubernetes.kubectl(*query).strip().removeprefix("pod/")

    def run(self, *command: str, stdin: str | None = None) -> str:
        """Run a command in its pod, which must succeed; return what it printed."""
        done = self.try_run(*command, stdin=stdin)
        assert done.returncode == 0, f"{' '.join(command)}: {done.stderr}"
        return done.stdout

    def try_run(self, *command: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command in its pod to its end, whatever that is."""
        inside = ("exec", "--stdin", f"--namespace={self.NAMESPACE}", self.DEPLOYMENT, "--", *command)
        return self.kubernetes.try_kubectl(*inside, stdin=stdin)

    def tctl(self, *arguments: str, stdin: str | None = None) -> str:
        """Run `tctl` there, which must succeed."""
        return self.run("tctl", *arguments, stdin=stdin)

    @property
    def log(self) -> str:
        """Return what it has said."""
        return self.kubernetes.get_log(self.NAMESPACE, self.DEPLOYMENT)

    @property
    def pin(self) -> str:
        """Return the pin of the CA that signs."""
        lines = self.tctl("status").splitlines()
        return next(line.split()[-1] for line in lines if line.startswith("CA pin"))

    def create_token(self, name: str, *accounts: str, **section: Any) -> None:
        """Store a token resource that admits these ServiceAccounts, given as namespace:name."""
        rules = [{"service_account": account} for account in accounts]
        spec = {"roles": ["App"], "join_method": "kubernetes", "kubernetes": {"allow": rules, **section}}
        document = {"kind": "token", "version": "v2", "metadata": {"name": name}, "spec": spec}
        self.tctl("create", "--force", stdin=render_yaml(document))

    def read_audit(self, event: str) -> list[dict[str, Any]]:
        """Return the events of one name in the audit file."""
        events = map(json.loads, self.run("cat", "/var/lib/teleport/audit.jsonl").splitlines())
        return [each for each in events if each["event"] == event]

    def list_joins(self, node_name: str) -> list[dict[str, Any]]:
        """Return what the audit file says of a host's attempts to join, in their order."""
        return [each for each in self.read_audit("instance.join") if each.get("node_name") == node_name]

    def wait_for_reason(self, node_name: str, reason: str) -> list[dict[str, Any]]:
        """Wait until the audit file tells that a host was refused, and why; return all that it says of its attempts."""

        def look() -> list[dict[str, Any]]:
            joins = self.list_joins(node_name)
            return joins if any(each.get("reason") == reason for each in joins) else []

        return wait_until(look, f"audit tells of {node_name}: {reason}", pause=PAUSE, patience=PATIENCE)

    def list_processes(self) -> list[str]:
        """Return the host names of all processes that have joined and are alive."""
        return [each["spec"]["hostname"] for each in json.loads(self.tctl("inventory", "ls", "--format=json"))]

    def list_services(self, kind: str) -> list[str]:
        """Return the host names of the services of a kind, as `apps`."""
        return [each["spec"]["hostname"] for each in json.loads(self.tctl("get", kind, "--format=json"))]
