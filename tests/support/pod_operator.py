"""The operator of `operator/deploy` in real pods, installed as its page says, and what is declared to it."""

import json
from collections.abc import Callable
from dataclasses import dataclass

from support.container_image import Images
from support.fresh_host import ROOT
from support.kind import PATIENCE, PAUSE, Document, Kubernetes
from support.operator_cluster import build_manifest
from support.operator_specs import Spec
from support.pod_auth import Auth
from support.processes import wait_until
from teleport.resources.strict_yaml import render_yaml
from teleport.version import VERSION

PAGE = ROOT / "docs" / "operator.md"
IMAGE_NAME = f"teleport-operator:{VERSION}"
"""What the manifest names."""
CONTAINER = "operator"
KIND = "teleportprovisiontoken"


def read_commands(section: str) -> list[str]:
    """Return the commands that a section of the page tells its readers to type, in their order."""
    text = PAGE.read_text().split(f"\n## {section}\n")[1].split("\n## ")[0]
    return [line.removeprefix("$ ") for line in text.splitlines() if line.startswith("$ ")]


@dataclass(frozen=True, slots=True)
class PodOperator:
    """Two operators, beside auth, that watch another namespace as well."""

    auth: Auth
    team: str
    """The other namespace."""

    NAMESPACE = Auth.NAMESPACE
    DEPLOYMENT = "deployment/teleport-operator"

    @property
    def kubernetes(self) -> Kubernetes:
        return self.auth.kubernetes

    def install(self, images: Images) -> list[str]:
        """Do what the page says; return what each command printed."""
        self.kubernetes.load_image(images.operator, IMAGE_NAME)
        return [self.kubernetes.run_shell(command, ROOT) for command in read_commands("Install it")]

    def watch_team(self) -> None:
        """Let it watch the other namespace, as the page says."""
        rbac = ROOT / "operator" / "deploy" / "rbac.yaml"
        self.kubernetes.kubectl("apply", f"--namespace={self.team}", f"--filename={rbac}")
        place, flag = "/spec/template/spec/containers/0/args/-", f"--namespaces={self.NAMESPACE},{self.team}"
        patch = json.dumps([{"op": "add", "path": place, "value": flag}])
        self.kubernetes.kubectl("patch", f"--namespace={self.NAMESPACE}", self.DEPLOYMENT, "--type=json", "-p", patch)
        rollout = ("rollout", "status", f"--namespace={self.NAMESPACE}", self.DEPLOYMENT, "--timeout=180s")
        self.kubernetes.kubectl(*rollout)
        wait_until(lambda: self.leader in self.pods, "one of the new pods leads", pause=PAUSE, patience=PATIENCE)

    def remove(self) -> None:
        """Do what the page says, so that nothing is left."""
        for command in read_commands("Remove it"):
            self.kubernetes.run_shell(command, ROOT)

    @property
    def pods(self) -> list[str]:
        """Return the names of its pods that are not about to end."""
        query = ("get", "pods", f"--namespace={self.NAMESPACE}", "--output=json")
        selected = self.kubernetes.kubectl(*query, "--selector=app.kubernetes.io/name=teleport-operator")
        listed = [each["metadata"] for each in json.loads(selected)["items"]]
        return [each["name"] for each in listed if "deletionTimestamp" not in each]

    @property
    def leader(self) -> str:
        """Return the name of the pod that leads, or nothing."""
        lease = self.kubernetes.get("lease", "teleport-operator", self.NAMESPACE)
        return str(lease["spec"].get("holderIdentity") or "").rpartition("_")[0]

    @property
    def logs(self) -> str:
        """Return what its pods have said."""
        return "".join(self.kubernetes.get_log(self.NAMESPACE, pod) for pod in self.pods)

    def wait_for_another_leader(self, former: str) -> str:
        """Wait until another pod leads than did before; return its name."""

        def look() -> str | None:
            leader = self.leader
            return leader if leader and leader != former else None

        return wait_until(look, f"another pod leads than {former}", pause=PAUSE, patience=PATIENCE)


@dataclass(frozen=True, slots=True)
class DeclaredToken:
    """An object, as an administrator types about it."""

    auth: Auth
    name: str
    namespace: str = PodOperator.NAMESPACE

    @property
    def kubernetes(self) -> Kubernetes:
        return self.auth.kubernetes

    def apply(self, spec: Spec, **annotations: str) -> None:
        """Make the object, or change it."""
        self.kubernetes.kubectl(
            *self._apply_arguments, stdin=render_yaml(build_manifest(self.name, spec, **annotations))
        )

    def refuse(self, spec: Spec) -> str:
        """Apply what the API server does not take; return why it does not."""
        done = self.kubernetes.try_kubectl(*self._apply_arguments, stdin=render_yaml(build_manifest(self.name, spec)))
        assert done.returncode != 0
        return done.stderr

    @property
    def _apply_arguments(self) -> tuple[str, ...]:
        return ("apply", f"--namespace={self.namespace}", "--filename=-")

    def delete(self) -> None:
        """Delete the object, and wait until it is gone."""
        self.kubernetes.kubectl("delete", KIND, self.name, f"--namespace={self.namespace}", "--ignore-not-found")

    def delete_later(self) -> None:
        """Delete the object, which waits for its token to go."""
        self.kubernetes.kubectl("delete", KIND, self.name, f"--namespace={self.namespace}", "--wait=false")

    def get(self) -> Document:
        """Return the object."""
        return self.kubernetes.get(KIND, self.name, self.namespace)

    def wait_for(self, reason: str, type_: str = "Ready") -> Document:
        """Wait until a condition has a reason that is about the present generation; return the condition."""

        def look() -> Document | None:
            found = self.get()
            conditions = found.get("status", {}).get("conditions", [])
            condition: Document = next((each for each in conditions if each["type"] == type_), {})
            is_current = condition.get("observedGeneration") == found["metadata"]["generation"]
            return condition if is_current and condition.get("reason") == reason else None

        return wait_until(look, f"{self.name}: {type_} says {reason}", pause=PAUSE, patience=PATIENCE)

    def find_token(self) -> Document | None:
        """Return the token of this name as `tctl get` shows it, or None."""
        done = self.auth.try_run("tctl", "get", f"token/{self.name}", "--format=json")
        if done.returncode != 0:
            return None
        found: list[Document] = json.loads(done.stdout)
        return found[0]

    def wait_for_event(self, reason: str) -> None:
        """Wait until an Event tells something of the object."""
        fields = f"--field-selector=involvedObject.name={self.name},reason={reason}"
        query = ("get", "events", f"--namespace={self.namespace}", fields, "--output=name")
        wait_until(
            lambda: self.kubernetes.kubectl(*query),
            f"an Event tells {reason} of {self.name}",
            pause=PAUSE,
            patience=PATIENCE,
        )


Declare = Callable[..., DeclaredToken]
"""Takes the name of an object and, if that is not the operator's, its namespace."""
