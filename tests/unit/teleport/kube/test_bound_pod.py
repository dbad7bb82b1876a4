from dataclasses import replace

import pytest

from support.pod_cluster import ACCOUNT, BOUND, POD
from teleport.kube.bound_pod import ACCOUNT_ASPECT, POD_ASPECT, Ending, find_ending
from teleport.kube.objects import Change, Listing, ObjectChange, Pod, ServiceAccountObject

OTHER_POD = replace(POD, uid="another")
OTHER_ACCOUNT = replace(ACCOUNT, uid="another")


@pytest.mark.parametrize("phase", ["", "Pending", "Running", "Unknown"])
@pytest.mark.parametrize("is_terminating", [False, True])
def test_a_life_lasts_while_pod_and_account_are_what_they_were(phase: str, *, is_terminating: bool) -> None:
    assert find_ending(BOUND, replace(POD, phase=phase, is_terminating=is_terminating), ACCOUNT) is None


@pytest.mark.parametrize(
    ("pod", "account", "ending"),
    [
        (None, ACCOUNT, Ending.POD_GONE),
        (OTHER_POD, ACCOUNT, Ending.POD_REPLACED),
        (replace(POD, phase="Failed"), ACCOUNT, Ending.POD_FINISHED),
        (replace(POD, phase="Succeeded"), ACCOUNT, Ending.POD_FINISHED),
        (POD, None, Ending.SERVICE_ACCOUNT_GONE),
        (POD, OTHER_ACCOUNT, Ending.SERVICE_ACCOUNT_REPLACED),
        (None, None, Ending.POD_GONE),
    ],
)
def test_each_way_of_ending_is_told_from_the_others(
    pod: Pod | None, account: ServiceAccountObject | None, ending: Ending
) -> None:
    assert find_ending(BOUND, pod, account) is ending


@pytest.mark.parametrize(
    ("seen", "suspected"),
    [
        (Listing((POD,), "1"), False),
        (Listing((), "1"), True),
        (Listing((OTHER_POD, replace(POD, name="web-1")), "1"), True),
        (ObjectChange("2"), False),
        (ObjectChange("2", Change.MODIFIED, POD), False),
        (ObjectChange("2", Change.MODIFIED, replace(POD, phase="Failed")), True),
        (ObjectChange("2", Change.ADDED, OTHER_POD), True),
        (ObjectChange("2", Change.DELETED, POD), True),
        (ObjectChange("2", Change.DELETED, replace(POD, name="web-1")), False),
    ],
)
def test_what_is_seen_of_pods_makes_those_suspect_that_it_speaks_against(
    seen: Listing[Pod] | ObjectChange[Pod], *, suspected: bool
) -> None:
    assert POD_ASPECT.find_suspects([BOUND], seen) == ([BOUND] if suspected else [])


@pytest.mark.parametrize(
    ("seen", "suspected"),
    [
        (Listing((ACCOUNT,), "1"), False),
        (Listing((), "1"), True),
        (ObjectChange("2", Change.DELETED, ACCOUNT), True),
        (ObjectChange("2", Change.ADDED, OTHER_ACCOUNT), True),
        (ObjectChange("2", Change.DELETED, replace(ACCOUNT, name="other")), False),
    ],
)
def test_what_is_seen_of_accounts_makes_their_pods_suspect(
    seen: Listing[ServiceAccountObject] | ObjectChange[ServiceAccountObject], *, suspected: bool
) -> None:
    assert ACCOUNT_ASPECT.find_suspects([BOUND], seen) == ([BOUND] if suspected else [])
