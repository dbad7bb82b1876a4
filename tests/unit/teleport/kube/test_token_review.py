"""The rungs of the ladder, with what a kube-apiserver 1.34 answers."""

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.errors import JoinRefused
from teleport.kube.token_review import BoundServiceAccount, ReviewStatus, parse_status

JOIN = "example.com"
DEFAULT = "https://kubernetes.default.svc.cluster.local"
PREFIX = "authentication.kubernetes.io"
BOUND = ReviewStatus(
    authenticated=True,
    username="system:serviceaccount:apps:web",
    uid="account-uid",
    groups=("system:serviceaccounts", "system:serviceaccounts:apps", "system:authenticated"),
    extra={
        f"{PREFIX}/credential-id": ("JTI=7",),
        f"{PREFIX}/node-name": ("node-1",),
        f"{PREFIX}/node-uid": ("node-uid",),
        f"{PREFIX}/pod-name": ("web-0",),
        f"{PREFIX}/pod-uid": ("pod-uid",),
    },
    audiences=(JOIN,),
)


def refuse(asked: tuple[str, ...] = (JOIN, DEFAULT), **changes: Any) -> str:
    """Return why a status is refused."""
    with pytest.raises(JoinRefused) as refusal:
        parse_status(replace(BOUND, **changes), asked)
    assert refusal.value.message == JoinRefused.PUBLIC
    return refusal.value.reason


def keep(*names: str) -> dict[str, tuple[str, ...]]:
    return {f"{PREFIX}/{name}": BOUND.extra[f"{PREFIX}/{name}"] for name in names}


def test_a_pod_s_service_account_is_vouched_for() -> None:
    assert parse_status(BOUND, (JOIN, DEFAULT)) == BoundServiceAccount(
        namespace="apps",
        name="web",
        uid="account-uid",
        pod_name="web-0",
        pod_uid="pod-uid",
        audiences=(JOIN,),
    )


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        ('[invalid bearer token, token audiences ["a"] is invalid for the target audiences ["b"]]', "wrong_audience"),
        ("[invalid bearer token, service account token has expired]", "token_expired"),
        ("[invalid bearer token, service account token has been invalidated]", "pod_gone"),
        ("[invalid bearer token, Token has been invalidated, unknown]", "not_authenticated"),
        ('[invalid bearer token, pods "web-0" not found]', "not_authenticated"),
        ("pod UID (new) does not match service account pod ref claim (old)", "pod_uid_mismatch"),
        ("service account UID (new) does not match claim (old)", "service_account_recreated"),
        ('serviceaccounts "gone" not found', "service_account_gone"),
        ("[invalid bearer token, go-jose/go-jose: error in cryptographic primitive]", "not_authenticated"),
        ("invalid bearer token", "not_authenticated"),
        ("", "not_authenticated"),
    ],
)
def test_what_kubernetes_refuses_has_its_own_reason(error: str, reason: str) -> None:
    with pytest.raises(JoinRefused) as refusal:
        parse_status(ReviewStatus(error=error), (JOIN,))
    assert refusal.value.reason == reason
    assert error in refusal.value.detail


@pytest.mark.parametrize("audiences", [(), ("other",), (JOIN.upper(),), (JOIN + "/",)])
def test_hostile_21_audiences_that_were_not_confirmed_are_refused(audiences: tuple[str, ...]) -> None:
    assert refuse(audiences=audiences) == "audience_not_confirmed"


def test_one_confirmed_audience_is_enough() -> None:
    assert parse_status(replace(BOUND, audiences=(DEFAULT,)), (JOIN, DEFAULT)).audiences == (DEFAULT,)


@pytest.mark.parametrize("username", ["system:bootstrap:abcdef", "eve@example.com", "system:node:node-1", ""])
def test_hostile_14_a_user_is_no_service_account(username: str) -> None:
    assert refuse(username=username) == "not_a_service_account"


@pytest.mark.parametrize("name", ["a", "a:b:c", ":b", "a:", "a:B", "\u0430pps:web", "a b:c", "a/b:c", "-a:b", "a:b-"])
def test_hostile_14_a_malformed_name_is_refused(name: str) -> None:
    assert refuse(username=f"system:serviceaccount:{name}") == "malformed_service_account"


ALL, OWN, OTHER = "system:serviceaccounts", "system:serviceaccounts:apps", "system:serviceaccounts:other"


@pytest.mark.parametrize("groups", [(), (ALL,), (OWN,), (ALL, OTHER)])
def test_the_groups_of_service_accounts_are_required(groups: tuple[str, ...]) -> None:
    assert refuse(groups=groups) == "wrong_groups"


def test_hostile_09_a_legacy_token_is_refused() -> None:
    assert refuse(extra={}) == "legacy_token"


@pytest.mark.parametrize(
    "names", [["credential-id"], ["credential-id", "node-name", "node-uid"], ["pod-name"], ["pod-uid"]]
)
def test_hostile_09_a_token_that_is_bound_to_no_pod_is_refused(names: list[str]) -> None:
    assert refuse(extra=keep(*names)) == "not_pod_bound"


def test_two_pods_are_no_pod() -> None:
    assert refuse(extra={**BOUND.extra, f"{PREFIX}/pod-name": ("a", "b")}) == "not_pod_bound"


TEXTS = st.sampled_from(["", JOIN, "other", "system:serviceaccounts", "system:serviceaccounts:apps", "a", "b:c"])
USERNAMES = st.text(":abA-.", max_size=8).map("system:serviceaccount:".__add__) | st.text("ab:", max_size=8)
KEYS = st.sampled_from([*BOUND.extra, "other"])


@given(
    st.builds(
        ReviewStatus,
        authenticated=st.booleans(),
        username=USERNAMES | st.just(BOUND.username),
        groups=st.lists(TEXTS).map(tuple) | st.just(BOUND.groups),
        extra=st.dictionaries(KEYS, st.lists(TEXTS, max_size=2).map(tuple)) | st.just(BOUND.extra),
        audiences=st.lists(TEXTS).map(tuple),
        error=st.text("ab:", max_size=20),
    )
)
def test_any_status_is_vouched_for_in_full_or_refused(status: ReviewStatus) -> None:
    try:
        account = parse_status(status, (JOIN,))
    except JoinRefused:
        return
    assert status.authenticated
    assert JOIN in account.audiences
    assert account.pod_name
    assert account.pod_uid
    assert status.username == f"system:serviceaccount:{account.namespace}:{account.name}"
    assert account.name == account.name.lower()
