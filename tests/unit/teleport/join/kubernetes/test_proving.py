"""What a pod shows, and what its operator reads in the agent's log when it is refused."""

import os
import ssl
from pathlib import Path

import pytest

from support.auth_client import InProcessClient
from support.jwt_tokens import build_claims, sign
from support.pod_joining import API_AUDIENCE, TOKEN_NAME, PodJoining, build_proof
from support.virtual_time import run_in_virtual_time
from teleport.agent.joining import NetworkJoiner, explain_failure
from teleport.api.joined import generate_keys
from teleport.api.trust import KnownAuthority
from teleport.config.settings import JoinParams, Settings
from teleport.errors import BadParameter, NotFound, TeleportError
from teleport.join.kubernetes import METHOD, proving
from teleport.kube.errors import Forbidden, NoAnswer
from teleport.resources.address import Address

BLOCK = build_claims()["kubernetes.io"]


@pytest.fixture
def token_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where the kubelet writes the token."""
    path = tmp_path / "token"
    monkeypatch.setenv(proving.PATH_VARIABLE, str(path))
    return path


async def read_log(joining: PodJoining, token_file: Path, proof: str) -> str:
    """Let an agent try to join with a token, which does not succeed, and return what it logs."""
    token_file.write_text(proof)  # noqa: ASYNC240 - nobody else waits
    params = JoinParams(method="kubernetes", token_name=TOKEN_NAME)
    settings = Settings(nodename="web-0", data_dir=token_file.parent)
    joiner = NetworkJoiner(
        settings=settings, way=Address("auth", 3025), params=params, method=METHOD, clock=joining.auth.clock
    )
    with pytest.raises(TeleportError) as failure:
        await joiner._join(InProcessClient(joining.auth), KnownAuthority(ssl.create_default_context()), generate_keys())
    said = explain_failure(failure.value)
    assert proof not in said
    return said


async def test_a_token_for_somebody_else_both_audiences_are_named(token_file: Path) -> None:
    said = await read_log(await PodJoining.start(), token_file, build_proof(aud=["vault"]))
    assert "for vault; auth accepts the audience 'example.com'" in said


async def test_where_the_own_audience_is_required_both_audiences_are_named_too(token_file: Path) -> None:
    joining = await PodJoining.start(require_own_audience=True)
    said = await read_log(joining, token_file, build_proof(aud=[API_AUDIENCE]))
    assert API_AUDIENCE in said
    assert "'example.com'" in said


@pytest.mark.parametrize("block", [None, {"namespace": "apps", "serviceaccount": BLOCK["serviceaccount"]}, []])
async def test_a_legacy_or_unbound_token_the_log_says_how_to_project_one(token_file: Path, block: object) -> None:
    said = await read_log(await PodJoining.start(), token_file, sign(build_claims(**{"kubernetes.io": block})))
    assert "volumes[].projected.sources[].serviceAccountToken with audience 'example.com'" in said
    assert proving.PATH_VARIABLE in said


async def test_no_rule_admits_the_account_and_the_log_names_it(token_file: Path) -> None:
    joining = await PodJoining.start(allow=[{"service_account": "apps:db"}])
    said = await read_log(joining, token_file, build_proof())
    assert "system:serviceaccount:apps:web" in said
    assert "spec.kubernetes.allow" in said
    assert "apps:db" not in said


async def test_a_right_that_auth_lacks_the_agent_is_told_where_to_look(token_file: Path) -> None:
    joining = await PodJoining.start()
    joining.api.failure = Forbidden('User "system:serviceaccount:teleport:auth" cannot create tokenreviews')
    said = await read_log(joining, token_file, build_proof())
    assert said == Forbidden.PUBLIC
    assert joining.reports[-1] is not None
    assert "--clusterrole=system:auth-delegator --serviceaccount=teleport:auth" in joining.reports[-1]


def test_an_api_server_that_does_not_answer_is_no_refusal(token_file: Path) -> None:
    async def scenario() -> str:
        joining = await PodJoining.start()
        joining.api.failure = NoAnswer("cannot ask https://10.96.0.1: no answer in time")
        return await read_log(joining, token_file, build_proof())

    assert run_in_virtual_time(scenario()) == NoAnswer.PUBLIC


def test_a_token_that_cannot_be_read_says_so(token_file: Path) -> None:
    assert "does not exist" in proving.explain("example.com")
    token_file.write_text("no token")
    assert "cannot be read" in proving.explain("example.com")


def test_the_token_is_read_anew_each_time(token_file: Path) -> None:
    token_file.write_text("first\n")
    assert proving.prove() == "first"
    token_file.write_text("second\n")
    assert proving.prove() == "second"


def test_what_is_no_token_file_is_refused(token_file: Path) -> None:
    with pytest.raises(NotFound):
        proving.prove()
    os.mkfifo(token_file)
    with pytest.raises(BadParameter, match="not a regular file"):
        proving.prove()
    token_file.unlink()
    token_file.write_bytes(b"\xff")
    with pytest.raises(BadParameter):
        proving.prove()
