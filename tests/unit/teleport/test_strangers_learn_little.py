"""What a stranger is told who was refused, or could not be judged: neither its token nor anything of the cluster's."""

import asyncio
import json
from collections.abc import Sequence
from datetime import timedelta

from hypothesis import given, settings
from hypothesis import strategies as st

from support.pod_joining import API_URL, AUTH_ACCOUNT, PodJoining, build_proof
from support.virtual_time import run_in_virtual_time
from teleport.errors import TeleportError
from teleport.kube.connection import check_answer
from teleport.kube.errors import NoAnswer, Untrusted
from teleport.kube.outgoing import Answer
from teleport.kube.token_review import ReviewStatus
from teleport.web.errors import build_error_reply

PROOF = build_proof()
SECRETS = (PROOF, *PROOF.split("."), API_URL, "10.96.0.1", AUTH_ACCOUNT, "teleport:auth")
TEXTS = st.lists(st.sampled_from([*SECRETS, "has expired", "target audiences", " ", '"']), max_size=4).map(" ".join)
STATUSES = st.sampled_from([301, 400, 401, 403, 404, 409, 410, 418, 422, 429, 500, 503])


def fail(status: int, text: str) -> TeleportError:
    """Return how an answer of the API server fails."""
    try:
        check_answer(Answer(status, timedelta(seconds=1), json.dumps({"message": text}).encode()))
    except TeleportError as error:
        return error
    raise AssertionError("it does not fail")


FAILURES = st.builds(fail, STATUSES, TEXTS) | st.builds(NoAnswer, TEXTS) | st.builds(Untrusted, TEXTS)
REFUSALS = st.builds(
    ReviewStatus,
    authenticated=st.booleans(),
    username=TEXTS.map("system:serviceaccount:".__add__),
    groups=TEXTS.map(lambda text: (text,)),
    audiences=TEXTS.map(lambda text: ("example.com", text)),
    error=TEXTS,
)


async def ask(status: ReviewStatus | None, failure: TeleportError | None, rules: Sequence[dict[str, str]]) -> None:
    joining = await PodJoining.start(allow=list(rules))
    joining.api.failure = failure
    if status is not None:
        joining.api.answers[PROOF] = status
    try:
        await joining.join(PROOF)
    except TeleportError as error:
        told = build_error_reply(error).body.decode()
    else:
        raise AssertionError("it was admitted")
    assert [secret for secret in SECRETS if secret in told] == []


@settings(max_examples=20)
@given(FAILURES)
def test_a_failure_tells_a_stranger_nothing_of_the_cluster(failure: TeleportError) -> None:
    run_in_virtual_time(ask(None, failure, [{"service_account": "apps:web"}]))


@settings(max_examples=20)
@given(REFUSALS)
def test_a_refusal_tells_a_stranger_nothing_of_the_cluster(status: ReviewStatus) -> None:
    asyncio.run(ask(status, None, [{"service_account": "other:web"}]))


@given(TEXTS)
def test_a_reason_in_the_log_holds_no_token(text: str) -> None:
    error = fail(403, f"{text} {PROOF} {text}")
    assert isinstance(error, NoAnswer)
    assert PROOF not in error.detail
    assert PROOF.split(".")[1] not in error.detail
