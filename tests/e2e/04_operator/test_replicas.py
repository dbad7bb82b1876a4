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


def test_another_pod_leads_when_the_leader_hangs_and_the_former_one_changes_nothing_when_it_wakes(
    operator: PodOperator, token: DeclaredToken
) -> None:
    former = operator.leader
    with operator.kubernetes.frozen(operator.NAMESPACE, former, container=CONTAINER):
        token.apply(build_spec())
        operator.wait_for_another_leader(former)
        token.wait_for("Synced")
        token.apply(build_spec("other:app"))
        token.wait_for("Synced")
    operator.kubernetes.wait_until_pod_ready(operator.NAMESPACE, former)
    found = token.find_token()
    assert found is not None
    assert found["spec"]["kubernetes"]["allow"] == [{"service_account": "other:app"}]
    assert token.wait_for("Synced")
    assert operator.leader != former
