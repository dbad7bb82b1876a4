"""Two operators, of which one leads: what is declared is kept, whichever of them ends, and however."""

import pytest

from support.operator_specs import build_spec
from support.pod_operator import CONTAINER, DeclaredToken, PodOperator

pytestmark = pytest.mark.timeout(600)


def test_another_pod_leads_when_the_leader_is_deleted(operator: PodOperator, token: DeclaredToken) -> None:
    first = operator.leader
    assert first in operator.pods
    operator.kubernetes.kubectl("delete", "pod", first, f"--namespace={operator.NAMESPACE}", "--wait=false")
    token.apply(build_spec())
    second = operator.wait_for_another_leader(first)
    assert second in operator.pods
    token.wait_for("Synced")
    assert token.find_token() is not None


def test_another_pod_leads_when_the_leader_cannot_even_give_back_its_lease(
    operator: PodOperator, token: DeclaredToken
) -> None:
    first = operator.leader
    operator.kubernetes.freeze_container(operator.NAMESPACE, first, container=CONTAINER)
    token.apply(build_spec())
    operator.kubernetes.delete_pod(operator.NAMESPACE, first)
    second = operator.wait_for_another_leader(first)
    assert second in operator.pods
    token.wait_for("Synced")
    assert token.find_token() is not None
