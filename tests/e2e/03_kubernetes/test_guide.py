"""The page on joining with a ServiceAccount token: every command, as it stands there, in its order."""

from collections.abc import Iterator

import pytest
import yaml

from support.fresh_host import ROOT
from support.kind import Kubernetes
from support.pod_auth import EXAMPLE, Auth

pytestmark = pytest.mark.timeout(600)

PAGE = ROOT / "docs" / "joining-with-a-serviceaccount-token.md"
OF_THE_ORIGINAL = (
    "kubectl get namespaces",
    "kubectl get deployments -n teleport",
    "kubectl exec -i -n teleport deployment/teleport-auth -- tctl create < token.yaml",
    "kubectl exec -i -n teleport deployment/teleport-auth -- tctl get token/kubernetes-token",
    "kubectl create namespace demo-app",
    "kubectl create deployment --image=nginx --namespace demo-app --port=80 demo-app",
    "kubectl expose deployment demo-app -n demo-app --port=80 --target-port=80 --selector='app=demo-app'",
    "kubectl get pods -n demo-app",
    "kubectl get pods -n teleport-agent",
    "kubectl delete namespaces demo-app teleport-agent",
)
"""The steps of the original's guide that need neither proxy nor chart; the page must have them word for word."""


def read_commands() -> list[str]:
    """Return the commands that the page tells its readers to type, in their order."""
    return [line.removeprefix("$ ") for line in PAGE.read_text().splitlines() if line.startswith("$ ")]


@pytest.fixture
def cleaned_up(auth: Auth) -> Iterator[None]:
    """Leave nothing behind, also when a command fails."""
    yield
    auth.kubernetes.kubectl("delete", "namespaces", "demo-app", "teleport-agent", "--ignore-not-found")
    auth.tctl("rm", "token/kubernetes-token")


def test_the_page_has_the_original_s_steps() -> None:
    commands = read_commands()
    assert [command for command in commands if command in OF_THE_ORIGINAL] == list(OF_THE_ORIGINAL)


@pytest.mark.usefixtures("cleaned_up")
def test_every_command_of_the_page_does_what_it_says(kubernetes: Kubernetes, auth: Auth) -> None:
    printed = {command: kubernetes.run_shell(command, EXAMPLE) for command in read_commands()}

    stored = yaml.safe_load(printed[OF_THE_ORIGINAL[3]])
    written = yaml.safe_load((EXAMPLE / "token.yaml").read_text())
    assert stored["spec"] == written["spec"]
    assert written["metadata"].items() <= stored["metadata"].items()
    assert "teleport-auth   1/1" in printed["kubectl get deployments -n teleport"]
    assert "Running" in printed["kubectl get pods -n demo-app"]
    (pod,) = [line.split()[0] for line in printed["kubectl get pods -n teleport-agent"].splitlines()[1:]]
    (apps,) = [text for command, text in printed.items() if command.endswith("tctl get apps")]
    app = next(each for each in yaml.safe_load_all(apps) if each["spec"]["hostname"] == pod)
    assert app["spec"]["uri"] == "http://demo-app.demo-app.svc.cluster.local:80"
    (processes,) = [text for command, text in printed.items() if command.endswith("tctl inventory ls")]
    assert pod in processes
    assert pod not in auth.list_processes()
