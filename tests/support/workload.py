"""Pods that want to join, on a real API server."""

import base64
import json
from pathlib import Path

from support.cluster import Agent, AuthServer
from support.kube_apiserver import KubeApiServer


class Workload:
    """A ServiceAccount with its pods, and the token resource that admits it."""

    def __init__(self, kubernetes: KubeApiServer, auth: AuthServer, name: str) -> None:
        self.kubernetes = kubernetes
        self.auth = auth
        self.namespace = f"ns-{name}"
        self.token_name = f"token-{name}"
        kubernetes.create_service_account(self.namespace, "app")

    def admit(self, *rules: dict[str, str], **section: object) -> None:
        """Store the token resource; without rules it admits the ServiceAccount by name."""
        allow = list(rules) or [{"service_account": f"{self.namespace}:app"}]
        spec = {"roles": ["App"], "join_method": "kubernetes", "kubernetes": {"allow": allow, **section}}
        self.auth.create({"kind": "token", "version": "v2", "metadata": {"name": self.token_name}, "spec": spec})

    def get_changed_token(self, **changes: object) -> str:
        """Return a pod's token with other claims, by the cluster's own key."""
        claims = json.loads(base64.urlsafe_b64decode(self.get_token().split(".")[1] + "=="))
        return self.kubernetes.sign({**claims, **changes})

    def start_agent(self, agent: Agent, token_file: Path) -> None:
        """Start an agent that joins with the token in the file, and wait until what it serves is known."""
        agent.process.environment["KUBERNETES_TOKEN_PATH"] = str(token_file)
        config = agent.configure(
            teleport={
                "join_params": {"method": "kubernetes", "token_name": self.token_name},
                "ca_pin": self.auth.get_pin(),
                "auth_server": str(self.auth.address),
                "data_dir": str(agent.data_dir),
                "nodename": agent.name,
                "diag_addr": str(agent.process.diag),
            },
            ssh_service={"enabled": "no"},
            proxy_service={"enabled": "no"},
            app_service={"enabled": "yes", "apps": [{"name": "demo", "uri": "http://localhost:80"}]},
        )
        agent.start(f"--config={config}").wait_until_ready()
        self.auth.wait_for_record(agent.name, "app_server")

    def create_pod(self, name: str = "app-0") -> str:
        """Make a pod and return its UID."""
        return self.kubernetes.create_pod(self.namespace, name, "app")

    def get_token(self, *audiences: str, pod: str = "app-0", uid: str = "") -> str:
        """Return a token of a pod, which is made if no UID is given."""
        return self.kubernetes.request_pod_token(
            self.namespace, "app", pod, uid or self.create_pod(pod), *(audiences or (self.auth.cluster_name,))
        )
