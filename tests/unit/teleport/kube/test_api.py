from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from teleport.kube.api import copy_status
from teleport.kube.errors import BadAnswer
from teleport.kube.token_review import ReviewStatus

USER = {
    "username": "system:serviceaccount:apps:web",
    "uid": "account-uid",
    "groups": ["system:serviceaccounts"],
    "extra": {"authentication.kubernetes.io/pod-name": ["web-0"]},
}
TEXTS = st.none() | st.booleans() | st.integers() | st.text("ab:", max_size=5)
SHAPES = TEXTS | st.lists(TEXTS, max_size=3) | st.dictionaries(st.text("ab:", max_size=5), TEXTS, max_size=3)


def test_a_status_is_copied_field_by_field() -> None:
    answer = {"status": {"authenticated": True, "user": USER, "audiences": ["join"]}}
    assert copy_status(answer) == ReviewStatus(
        authenticated=True,
        username="system:serviceaccount:apps:web",
        uid="account-uid",
        groups=("system:serviceaccounts",),
        extra={"authentication.kubernetes.io/pod-name": ("web-0",)},
        audiences=("join",),
    )


def test_a_refusal_has_no_word_of_being_authenticated() -> None:
    assert copy_status({"status": {"user": {}, "error": "invalid bearer token"}}) == ReviewStatus(
        error="invalid bearer token"
    )


@pytest.mark.parametrize("authenticated", ["true", 1, "yes", [True], {"a": 1}, None])
def test_hostile_21_only_true_is_true(authenticated: object) -> None:
    assert not copy_status({"status": {"authenticated": authenticated, "user": USER}}).authenticated


@pytest.mark.parametrize("answer", [{}, {"status": None}, {"status": []}, {"status": "ok"}])
def test_hostile_22_an_answer_without_a_status_is_no_review(answer: dict[str, Any]) -> None:
    with pytest.raises(BadAnswer):
        copy_status(answer)


@pytest.mark.parametrize("user", [{}, None, {"username": ""}, {"username": 7}, {"uid": "7"}])
def test_hostile_22_a_yes_without_a_name_is_of_no_use_and_denies_nobody(user: object) -> None:
    with pytest.raises(BadAnswer, match="no answer that can be used"):
        copy_status({"status": {"authenticated": True, "user": user, "audiences": ["example.com"]}})


def test_what_kubernetes_says_is_bounded_and_holds_no_token() -> None:
    status = copy_status({"status": {"error": "cannot read eyJhbGciOi.eyJpc3Mi.c2ln" + "!" * 5000}})
    assert status.error.startswith("cannot read (token)!")
    assert len(status.error) == 1000


@given(st.dictionaries(st.sampled_from(["authenticated", "user", "audiences", "error"]), SHAPES))
def test_a_status_of_any_shape_is_copied(status: dict[str, Any]) -> None:
    try:
        copied = copy_status({"status": status})
    except BadAnswer:
        assert status["authenticated"] is True
        return
    assert copied.authenticated is (status.get("authenticated") is True)
    assert all(isinstance(audience, str) for audience in copied.audiences)
