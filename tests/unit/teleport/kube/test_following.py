from contextlib import aclosing
from dataclasses import replace

import pytest

from support.pod_cluster import NAMESPACE, POD, PodCluster
from teleport.kube.errors import NoAnswer
from teleport.kube.following import follow_objects
from teleport.kube.objects import PODS, Change, Listing


async def test_all_objects_come_first_and_then_every_change_in_order() -> None:
    cluster = PodCluster()
    async with aclosing(follow_objects(cluster, PODS, NAMESPACE)) as seen:
        assert await anext(seen) == Listing((POD,), "0")
        await cluster.put("pods", replace(POD, phase="Failed"))
        await cluster.delete("pods", POD.name)
        assert [(await anext(seen)).change for _ in range(2)] == [Change.MODIFIED, Change.DELETED]  # type: ignore[union-attr]  # both are changes
    assert (cluster.lists, cluster.watches) == (1, 1)


async def test_what_happened_while_the_watch_had_lost_its_place_is_in_the_next_list() -> None:
    cluster = PodCluster()
    async with aclosing(follow_objects(cluster, PODS, NAMESPACE)) as seen:
        await anext(seen)
        del cluster.objects["pods"][POD.name]
        await cluster.forget_history()
        assert (await anext(seen)) == Listing((), "1")


async def test_silence_is_told_to_who_follows() -> None:
    cluster = PodCluster()
    async with aclosing(follow_objects(cluster, PODS, NAMESPACE)) as seen:
        await anext(seen)
        cluster.failure = NoAnswer("no answer")
        with pytest.raises(NoAnswer):
            await anext(seen)
