"""What a real API server and kubectl make of the guide's manifest, and the optional policy of unknown fields."""

import json
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
import yaml

from support.declared import JUDGES, KUBERNETES, LONG_NAME, POLICY_FILE
from support.kube_apiserver import ADMIN_TOKEN, KubeApiServer
from support.token_objects import APPLY, TokenObjects, build
from teleport_operator.declaration import ExpirySource
from teleport_operator.manifest import parse_declaration

POLICIES = "/apis/admissionregistration.k8s.io/v1"
EXPIRES = "2030-11-21 12:49:54.1 +0000 UTC m=+3600.1"
"""As Helm renders `{{ now | dateModify "+1h" }}`."""
GUIDE: dict[str, Any] = {
    **build(LONG_NAME, {"roles": ["Node"]}),
    "metadata": {"name": LONG_NAME, "namespace": "default", "expires": EXPIRES},
}


class Kubectl:
    """kubectl as the administrator."""

    def __init__(self, program: str, server: KubeApiServer) -> None:
        self._command = [
            program,
            f"--server={server.url}",
            f"--certificate-authority={server.ca_file}",
            f"--token={ADMIN_TOKEN}",
            f"--cache-dir={server.folder / 'kubectl'}",
        ]

    def apply(self, manifest: object, *flags: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*self._command, "apply", "--filename=-", *flags],
            input=json.dumps(manifest),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )


@pytest.fixture
def tool(kubectl: str, server: KubeApiServer, installed: TokenObjects) -> Iterator[Kubectl]:
    yield Kubectl(kubectl, server)
    installed.delete(LONG_NAME)


@pytest.mark.parametrize("validation", ["warn", "ignore"])
def test_an_end_in_the_metadata_is_dropped_and_found_again(
    tool: Kubectl, installed: TokenObjects, validation: str
) -> None:
    answer = tool.apply(GUIDE, f"--validate={validation}")
    assert answer.returncode == 0, answer.stderr
    assert ('unknown field "metadata.expires"' in answer.stderr) is (validation == "warn")
    raw = installed.get(LONG_NAME)
    assert "expires" not in raw["metadata"]
    expiry = parse_declaration(raw, judges=JUDGES).expiry
    assert (expiry.source, expiry.at) == (ExpirySource.METADATA, datetime(2030, 11, 21, 12, 49, 54, 100000, UTC))


@pytest.mark.parametrize("flags", [(), ("--server-side",)], ids=["client-side", "server-side"])
def test_kubectl_by_default_refuses_an_end_in_the_metadata(
    tool: Kubectl, installed: TokenObjects, flags: tuple[str, ...]
) -> None:
    answer = tool.apply(GUIDE, *flags)
    assert answer.returncode != 0
    assert "expires" in answer.stderr
    assert not installed.exists(LONG_NAME)


def test_random_bytes_are_no_name(installed: TokenObjects) -> None:
    answer = installed.create("Xk3+/Q9ab=", {"roles": ["Node"]})
    assert answer.code == 422
    assert "metadata.name" in answer.fields


@pytest.fixture(scope="module")
def guarded(installed: TokenObjects) -> Iterator[TokenObjects]:
    """Put up the optional policy for the time of this module's last tests."""
    policy, binding = yaml.safe_load_all(POLICY_FILE.read_text())
    name = policy["metadata"]["name"]
    installed.create("of-old", {**KUBERNETES, "pod": "web"})
    paths = {
        f"{POLICIES}/validatingadmissionpolicies/{name}": policy,
        f"{POLICIES}/validatingadmissionpolicybindings/{name}": binding,
    }
    for path, body in paths.items():
        answer = installed.ask("PATCH", f"{path}?fieldManager=test&force=true", body, APPLY)
        assert answer.accepted, answer
    installed.wait_for(LONG_NAME, {**KUBERNETES, "pod": "web"}, accepted=False)
    yield installed
    for path in paths:
        installed.ask("DELETE", path)
    installed.wait_for(LONG_NAME, {**KUBERNETES, "pod": "web"}, accepted=True)


def test_the_policy_names_all_unknown_fields(guarded: TokenObjects) -> None:
    rules = [{"service_account": "apps:web", "pod": "a"}, {"service_account": "apps:db"}]
    section = {"allow": rules, "jwks": "", "static_jwks": {"keys": ""}, "oidc": {"isuer": ""}}
    secret = {"rotate": "", "fromSecret": {"name": "mine", "keys": ""}}
    spec = {"roles": ["Node"], "rolls": [], "kubernetes": section, "limits": {"uses": 1}, "secret": secret}
    answer = guarded.create("web", spec, "dryRun=All")
    assert answer.code == 422
    assert answer.message.endswith(
        "unknown field spec.rolls, spec.kubernetes.jwks, spec.kubernetes.allow[].pod, "
        "spec.kubernetes.static_jwks.keys, spec.kubernetes.oidc.isuer, spec.limits.uses, "
        "spec.secret.rotate, spec.secret.fromSecret.keys"
    )


@pytest.mark.parametrize(
    "spec",
    [
        KUBERNETES,
        {**KUBERNETES, "limits": None, "github": None, "allow": None},
        {**KUBERNETES, "kubernetes": {**KUBERNETES["kubernetes"], "static_jwks": None, "oidc": None}},
        {"roles": ["Node"], "secret": {"fromSecret": {"name": "mine"}}, "kubernetes": None},
    ],
)
def test_the_policy_lets_everything_else_in(guarded: TokenObjects, spec: dict[str, Any]) -> None:
    answer = guarded.create("web", spec, "dryRun=All")
    assert answer.accepted, answer


def test_the_policy_does_not_hold_what_is_there_already(guarded: TokenObjects) -> None:
    assert guarded.merge("of-old", {"metadata": {"labels": {"a": "b"}}}).accepted
    assert guarded.apply_status("of-old", {"observedGeneration": 1}).accepted
    assert guarded.merge("of-old", {"spec": {"roles": ["Node"]}}).code == 422
    assert guarded.merge("of-old", {"spec": {"pod": None}}).accepted
