"""With how few rights auth can judge pods: each mode on a real API server, what it sees, and what it does not."""

import asyncio
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.cluster import PATIENT, AuthServer
from support.kube_apiserver import KubeApiServer, find_kubectl
from support.processes import Processes, wait_until
from support.strangers import Stranger
from support.workload import Workload
from teleport.api.messages import JoinResponse
from teleport.errors import JoinRefused, Unavailable
from teleport.kube.grants import Account, Grant, build_least_reviews_grant, build_reviews_grant

REVIEWS = "teleport_kubernetes_token_review_seconds_count"


@dataclass(frozen=True, slots=True)
class Mode:
    """A documented way of verifying tokens."""

    name: str
    verification: str
    build_grant: Callable[[Account], Grant] | None

    @property
    def namespace(self) -> str:
        """Return where its auth server is."""
        return f"rights-{self.name}"


DELEGATOR = Mode("delegator", "tokenreview", build_reviews_grant)
LEAST = Mode("least", "tokenreview", build_least_reviews_grant)
JWKS = Mode("jwks", "jwks", None)
NOTHING = Mode("nothing", "tokenreview", None)
"""Cannot work: it has the rights of mode jwks, and not that mode."""


def start_auth(kubernetes: KubeApiServer, processes: Processes, folder: Path, mode: Mode) -> AuthServer:
    """Start an auth server that has no rights but those of its mode."""
    kubernetes.create_service_account(mode.namespace, "auth")
    uid = kubernetes.create_pod(mode.namespace, "auth-0", "auth")
    for manifest in mode.build_grant(Account(mode.namespace, "auth")).build_manifests() if mode.build_grant else ():
        kubernetes.create(manifest)
    auth = AuthServer(processes, folder, teleport=PATIENT)
    token_file = folder / "token"
    token_file.write_text(kubernetes.request_pod_token(mode.namespace, "auth", "auth-0", uid))
    auth.auth_service["kubernetes"] = {
        "api_server": kubernetes.url,
        "ca_file": str(kubernetes.ca_file),
        "token_file": str(token_file),
        "verification": mode.verification,
    }
    auth.configure()
    return auth.start()


@pytest.fixture(scope="module")
def auths(
    kubernetes: KubeApiServer, shared_processes: Processes, tmp_path_factory: pytest.TempPathFactory
) -> dict[Mode, AuthServer]:
    """An auth server for each mode."""
    folder = tmp_path_factory.mktemp("modes")
    return {
        mode: start_auth(kubernetes, shared_processes, folder / mode.name, mode)
        for mode in (DELEGATOR, LEAST, JWKS, NOTHING)
    }


@pytest.fixture
def admit(
    kubernetes: KubeApiServer, auths: dict[Mode, AuthServer], request: pytest.FixtureRequest
) -> Callable[[Mode], Workload]:
    """Makes a workload of the test's own that a mode's auth server admits."""

    def make(mode: Mode) -> Workload:
        name = "".join(char if char.isalnum() else "-" for char in request.node.name.lower()).strip("-")
        workload = Workload(kubernetes, auths[mode], name[-50:].strip("-"))
        workload.admit()
        return workload

    return make


def join(workload: Workload, proof: str) -> JoinResponse:
    """Join as a new host."""
    stranger = Stranger(workload.auth.address, workload.auth.admin.host_ca_certificates)
    return asyncio.run(stranger.join(workload.token_name, proof=proof))


def can_join(workload: Workload, proof: str) -> bool:
    """Return whether auth can decide at present."""
    try:
        join(workload, proof)
    except Unavailable:
        return False
    return True


@pytest.mark.parametrize("mode", [DELEGATOR, LEAST, JWKS], ids=lambda mode: mode.name)
def test_a_pod_joins_in_every_mode(mode: Mode, admit: Callable[[Mode], Workload]) -> None:
    workload = admit(mode)
    assert join(workload, workload.get_token()).host_id


@pytest.mark.parametrize("mode", [DELEGATOR, LEAST, JWKS], ids=lambda mode: mode.name)
def test_the_log_says_at_start_which_mode_is_on(mode: Mode, auths: dict[Mode, AuthServer]) -> None:
    assert f"are verified by {mode.verification}" in auths[mode].process.log


@pytest.mark.parametrize("mode", [DELEGATOR, LEAST], ids=lambda mode: mode.name)
def test_a_token_review_sees_that_a_pod_is_gone(
    mode: Mode, admit: Callable[[Mode], Workload], kubernetes: KubeApiServer
) -> None:
    workload = admit(mode)
    token = workload.get_token()
    kubernetes.delete_pod(workload.namespace, "app-0")
    with pytest.raises(JoinRefused):
        join(workload, token)


def test_mode_jwks_does_not_see_that_a_pod_is_gone(
    admit: Callable[[Mode], Workload], kubernetes: KubeApiServer
) -> None:
    workload = admit(JWKS)
    token = workload.get_token()
    kubernetes.delete_pod(workload.namespace, "app-0")
    assert join(workload, token).host_id


def test_mode_jwks_refuses_a_forged_signature(admit: Callable[[Mode], Workload]) -> None:
    workload = admit(JWKS)
    head, claims, signature = workload.get_token().split(".")
    forged = signature[:10] + ("A" if signature[10] != "A" else "B") + signature[11:]
    with pytest.raises(JoinRefused):
        join(workload, f"{head}.{claims}.{forged}")


def test_mode_jwks_reviews_nothing(admit: Callable[[Mode], Workload]) -> None:
    workload = admit(JWKS)
    assert join(workload, workload.get_token()).host_id
    assert workload.auth.count(REVIEWS) == 0


def test_without_the_right_to_review_the_keys_are_no_silent_way_out(admit: Callable[[Mode], Workload]) -> None:
    workload = admit(NOTHING)
    preflight = workload.auth.run_tctl("kube", "preflight", "--verification=jwks")
    assert preflight.returncode == 0, "the keys could be read"
    with pytest.raises(Unavailable) as refusal:
        join(workload, workload.get_token())
    assert "the auth server's log names the right" in refusal.value.message


@pytest.fixture
def without_the_right(kubernetes: KubeApiServer, auths: dict[Mode, AuthServer]) -> Iterator[None]:
    """Take away the right of the mode with the least, once its auth server is there."""
    assert LEAST in auths
    _, binding = build_least_reviews_grant(Account(LEAST.namespace, "auth")).build_manifests()
    kubernetes.unbind(binding["metadata"]["name"])
    yield
    kubernetes.create(binding)


@pytest.mark.usefixtures("without_the_right")
def test_hostile_23_the_line_in_the_log_is_all_it_takes_to_be_ready_again(
    admit: Callable[[Mode], Workload], kubernetes: KubeApiServer
) -> None:
    if find_kubectl() is None:
        pytest.skip("NOT TESTED: the commands that grant rights need kubectl (KUBEBUILDER_ASSETS)")
    workload = admit(LEAST)
    token = workload.get_token()
    wait_until(lambda: not can_join(workload, token), "the right is gone")
    command = build_reviews_grant(Account(LEAST.namespace, "auth")).command
    assert command in workload.auth.process.wait_for_status(503)
    workload.auth.process.wait_for_log(command)
    kubernetes.run_as_administrator(command)
    workload.auth.process.wait_for_status(200)  # although nobody comes: a load balancer lets no one through till then
    assert can_join(workload, token)
    kubernetes.unbind(f"{LEAST.namespace}-auth-auth-delegator")
