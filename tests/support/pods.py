"""Agents in real pods, as `examples/02-kubernetes` describes them, each with what a test changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import yaml

from support.fresh_host import ROOT
from support.kind import PATIENCE, PAUSE, Document, Kubernetes
from support.pod_auth import CLUSTER_NAME, EXAMPLE, Auth
from support.processes import wait_until
from teleport.resources.strict_yaml import render_yaml

ACCOUNT = "teleport-app-service"
PAGE = ROOT / "docs" / "join-methods" / "kubernetes.md"
TOKEN_FOLDER = "/var/run/secrets/tokens"
TOKEN_FILE = "join-sa-token"
READYZ = "import urllib.request; urllib.request.urlopen('http://127.0.0.1:3000/readyz')"
RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}


def load_manifests(name: str) -> dict[str, Document]:
    """Return the objects of a file of the example by their kinds."""
    documents = yaml.safe_load_all((EXAMPLE / name).read_text())
    return {document["kind"]: document for document in documents}


def read_page(section: str) -> list[list[Document]]:
    """Return the manifests of a section of the page about joining in Kubernetes, block by block."""
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    blocks = [block.split("```")[0] for block in text.split("```yaml\n")[1:]]
    return [list(yaml.safe_load_all(block)) for block in blocks]


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentPod:
    """A pod as `agent.yaml` describes it, with a name of its own and what a test changes."""

    name: str
    namespace: str
    token_name: str
    pin: str
    account: str = ACCOUNT
    audience: str = CLUSTER_NAME
    """Of the projected token; empty is the API server's own."""
    token_secret: str = ""
    """The Secret that holds the token which the pod shows in place of a projected one."""
    token_key: str = "token"
    """Where in the Secret it stands."""
    join_params: Mapping[str, Any] = field(default_factory=dict)
    """Of the configuration, beside the manifest's or in place of them."""
    sections: Mapping[str, Any] = field(default_factory=dict)
    """Of the configuration, in place of the manifest's."""
    waits: bool = False
    """Whether it starts only when it is told to."""
    keeps_state: bool = False
    """Whether it has what the page says for keeping its state in a Secret, but for the right."""

    GO = "/var/lib/teleport/go"

    def build(self) -> tuple[Document, Document]:
        """Return the pod and the ConfigMap that it reads."""
        manifests = load_manifests("agent.yaml")
        config = {"metadata": self._build_metadata(), "data": {"teleport.yaml": self._build_config(manifests)}}
        spec = manifests["Deployment"]["spec"]["template"]["spec"]
        spec["serviceAccountName"] = self.account
        container = spec["containers"][0]
        container["volumeMounts"] = [mount for mount in container["volumeMounts"] if mount["name"] != "ca"]
        if self.waits:
            start = f"until [ -e {self.GO} ]; do sleep 0.1; done; exec teleport start"
            container["command"] = ["sh", "-c", start]
            del container["livenessProbe"]
        if self.keeps_state:
            spec["automountServiceAccountToken"] = True
            container["env"] += read_page("What a pod remembers")[0][0]["env"]
        spec["volumes"] = [volume for volume in spec["volumes"] if volume["name"] not in ("ca", "join-sa-token")]
        spec["volumes"].append({"name": "join-sa-token", **self._build_token_volume()})
        next(volume for volume in spec["volumes"] if volume["name"] == "config")["configMap"]["name"] = self.name
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": self._build_metadata(), "spec": spec}
        return {"apiVersion": "v1", "kind": "ConfigMap", **config}, pod

    def _build_metadata(self) -> Document:
        return {"name": self.name, "namespace": self.namespace}

    def _build_config(self, manifests: Mapping[str, Document]) -> str:
        config = yaml.safe_load(manifests["ConfigMap"]["data"]["teleport.yaml"])
        config["teleport"]["ca_pin"] = self.pin
        config["teleport"]["join_params"] |= {"token_name": self.token_name, **self.join_params}
        return render_yaml(config | dict(self.sections))

    def _build_token_volume(self) -> Document:
        if self.token_secret:
            items = [{"key": self.token_key, "path": TOKEN_FILE}]
            return {"secret": {"secretName": self.token_secret, "items": items}}
        source: Document = {"path": TOKEN_FILE, "expirationSeconds": 600}
        if self.audience:
            source["audience"] = self.audience
        return {"projected": {"sources": [{"serviceAccountToken": source}]}}


@dataclass(frozen=True, slots=True)
class Tenant:
    """A namespace of its own for one test, in which pods want to join, and the token resource that admits them."""

    auth: Auth
    namespace: str
    pin: str

    @property
    def kubernetes(self) -> Kubernetes:
        return self.auth.kubernetes

    @property
    def token_name(self) -> str:
        return f"token-{self.namespace}"

    def create(self) -> None:
        """Make the namespace, in which only confined pods may run, and its ServiceAccount."""
        metadata = {"name": self.namespace, "labels": RESTRICTED}
        self.kubernetes.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": metadata})
        self.create_account(ACCOUNT)

    def remove(self) -> None:
        """Remove the namespace with all that is in it; nobody waits for that."""
        everything = ("pods", "--all", f"--namespace={self.namespace}", "--force", "--grace-period=0", "--wait=false")
        self.kubernetes.kubectl("delete", *everything)
        self.kubernetes.kubectl("delete", "namespace", self.namespace, "--wait=false")

    def create_account(self, name: str) -> None:
        """Make a ServiceAccount."""
        metadata = {"name": name, "namespace": self.namespace}
        self.kubernetes.apply({"apiVersion": "v1", "kind": "ServiceAccount", "metadata": metadata})

    def allow_state(self) -> None:
        """Let pods keep their state in Secrets, as the page says."""
        documents = read_page("What a pod remembers")[1]
        for document in documents:
            document["metadata"]["namespace"] = self.namespace
            for subject in document.get("subjects", ()):
                subject["namespace"] = self.namespace
        self.kubernetes.apply(*documents)

    def admit(self, *accounts: str, **section: Any) -> None:
        """Store the token resource; without accounts it admits the one of this namespace."""
        self.auth.create_token(self.token_name, *(accounts or (f"{self.namespace}:{ACCOUNT}",)), **section)

    def start(self, name: str, **changes: Any) -> str:
        """Start an agent in a pod and return the pod's name, which is its own in the whole cluster."""
        named = f"{name}-{self.namespace}"
        pod = AgentPod(name=named, namespace=self.namespace, token_name=self.token_name, pin=self.pin, **changes)
        self.kubernetes.apply(*pod.build())
        return named

    def wait_until_running(self, pod: str) -> None:
        """Wait until a pod's container runs."""
        running = "--for=jsonpath={.status.phase}=Running"
        self.kubernetes.kubectl("wait", running, f"pod/{pod}", f"--namespace={self.namespace}", "--timeout=120s")

    def wait_until_joined(self, pod: str) -> None:
        """Wait until a pod is ready, which it is when it has joined, and is listed with its application."""
        self.kubernetes.wait_until_pod_ready(self.namespace, pod)
        assert pod in self.auth.list_processes()
        assert pod in self.auth.list_services("apps")

    def restart(self, pod: str) -> None:
        """End a pod's container, and wait until the kubelet's next one is ready; the API server is not asked."""
        self.kubernetes.end_container(self.namespace, pod)

        def is_ready() -> bool:
            return (
                "using the identity of host" in self.kubernetes.read_log_file(self.namespace, pod)
                and self.kubernetes.try_in_pod(self.namespace, pod, "python3", "-c", READYZ).returncode == 0
            )

        wait_until(is_ready, f"{pod} is ready again", pause=PAUSE, patience=PATIENCE)

    def assert_refused(self, pod: str, reason: str, *says: str) -> None:
        """The pod's log tells what to do, audit tells why, and nothing of the pod is listed anywhere."""
        log = self.kubernetes.wait_for_log(self.namespace, pod, "cannot join: auth refused the join")
        for text in says:
            assert text in log
        assert "eyJ" not in log
        assert not any(event["success"] for event in self.auth.wait_for_reason(pod, reason))
        assert pod not in self.auth.list_processes()
        assert pod not in self.auth.list_services("apps")

    def read_token(self, pod: str) -> str:
        """Return the token that a pod shows, as somebody who may run commands in it can."""
        command = ("exec", pod, f"--namespace={self.namespace}", "--", "cat", f"{TOKEN_FOLDER}/{TOKEN_FILE}")
        return self.kubernetes.kubectl(*command)

    def request_token(self, *flags: str) -> str:
        """Return a token for auth's audience from the API server."""
        command = ("create", "token", ACCOUNT, f"--namespace={self.namespace}", f"--audience={CLUSTER_NAME}")
        return self.kubernetes.kubectl(*command, *flags).strip()

    def request_pod_token(self, pod: str) -> str:
        """Return a token that is bound to a pod, as the kubelet requests it."""
        uid = self.kubernetes.get("pod", pod, self.namespace)["metadata"]["uid"]
        return self.request_token("--bound-object-kind=Pod", f"--bound-object-name={pod}", f"--bound-object-uid={uid}")

    def keep(self, token: str) -> str:
        """Put a token into a Secret, so that a pod can show it; return the Secret's name."""
        metadata = {"name": "kept", "namespace": self.namespace}
        self.kubernetes.apply(
            {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "stringData": {"token": token}}
        )
        return "kept"
