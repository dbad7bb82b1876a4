from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from support.pod_cluster import BOUND, NAMESPACE
from teleport.auth.pod_index import ASPECTS, PodIndex
from teleport.kube.bound_pod import ACCOUNT_ASPECT, POD_ASPECT, BoundPod

NAMES = st.sampled_from(["a", "b"])
PODS = st.builds(BoundPod, NAMES, NAMES, st.sampled_from(["1", "2", "3", "4"]), NAMES, st.just("account"))


def test_a_pod_is_found_by_what_its_life_depends_on() -> None:
    index = PodIndex()
    index.add(BOUND)
    other = replace(BOUND, uid="other", name="web-1")
    index.add(other)
    assert BOUND.uid in index
    assert index.find_dependent(POD_ASPECT, NAMESPACE, BOUND.name) == [BOUND]
    assert index.find_dependent(ACCOUNT_ASPECT, NAMESPACE, BOUND.service_account) == [BOUND, other]
    assert index.find_dependent(POD_ASPECT, "elsewhere", BOUND.name) == []
    assert index.find_all(NAMESPACE) == [BOUND, other]
    assert index.find_all("elsewhere") == []
    assert list(index.namespaces) == [NAMESPACE]


@given(st.lists(st.tuples(st.booleans(), PODS)))
def test_every_way_of_finding_tells_the_same(changes: list[tuple[bool, BoundPod]]) -> None:
    index, pods = PodIndex(), dict[str, BoundPod]()
    for is_new, pod in changes:
        known = pods.get(pod.uid, pod)  # what a pod is never changes
        if is_new:
            index.add(known)
            pods[pod.uid] = known
        else:
            index.remove(known)
            pods.pop(pod.uid, None)
    assert {pod.uid: pod for pod in index.list_all()} == pods
    assert set(index.namespaces) == {pod.namespace for pod in pods.values()}
    for pod in pods.values():
        assert pod in index.find_all(pod.namespace)
        assert all(pod in index.find_dependent(aspect, pod.namespace, aspect.name_of(pod)) for aspect in ASPECTS)
