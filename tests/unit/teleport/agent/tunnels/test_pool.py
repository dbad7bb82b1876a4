import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import pytest

from support.fake_proxies import FakeBalancer, FakeProxy, build_pool, pass_time, show_host
from support.tunnels import Heard
from support.virtual_time import run_in_virtual_time
from support.x509 import HOST_ID, OTHER_HOST_ID
from teleport.agent.tunnels.pacing import SPREAD
from teleport.agent.tunnels.pool import SHUNNED_FOR, TunnelPool
from teleport.tunnel.preface import render_preface
from teleport.tunnel.session import Session
from teleport.tunnel.stream import Stream

SOON = timedelta(seconds=15)
HOUR = timedelta(hours=1)
RUNNING: set[asyncio.Task[None]] = set()
"""Kept, or they would be collected as garbage."""


def run(story: Callable[[], Awaitable[None]]) -> None:
    async def work() -> None:
        await story()
        for task in asyncio.all_tasks() - {asyncio.current_task()}:
            task.cancel()

    run_in_virtual_time(work())


async def start(pool: TunnelPool, period: timedelta = SOON) -> asyncio.Task[None]:
    task = asyncio.create_task(pool.run())
    RUNNING.add(task)
    task.add_done_callback(RUNNING.discard)
    await pass_time(period)
    return task


def build_proxies(*names: str) -> list[FakeProxy]:
    return [FakeProxy(name, *names) for name in names]


async def tell_every_minute(proxy: FakeProxy, *names: str) -> None:
    while True:
        proxy.tell(*names)
        await asyncio.sleep(60)


def find(proxy: FakeProxy, host_id: str = HOST_ID) -> Session:
    session = proxy.registry.find(host_id)
    assert session is not None
    return session


def test_there_is_one_tunnel_to_every_proxy() -> None:
    async def story() -> None:
        proxies = build_proxies("one", "two", "three")
        balancer = FakeBalancer(proxies)
        pool = build_pool(balancer)
        await start(pool, HOUR)
        assert pool.proxies == {"one", "two", "three"}
        assert [len(proxy.registry) for proxy in proxies] == [1, 1, 1]
        dials = balancer.dials
        await pass_time(HOUR)
        assert balancer.dials == dials

    run(story)


def test_a_dial_that_comes_to_a_claimed_proxy_is_dropped_and_disturbs_nobody() -> None:
    async def story() -> None:
        one = FakeProxy("one", "two")
        balancer = FakeBalancer([one])
        await start(build_pool(balancer))
        kept = find(one)
        assert balancer.dials > 2
        assert find(one) is kept
        assert one.closed == balancer.dials - 1
        assert one.count("teleport_reverse_tunnel_conflicts_total") == 0

    run(story)


def test_a_proxy_that_is_added_is_dialled_within_seconds_of_the_news() -> None:
    async def story() -> None:
        one, two = FakeProxy("one"), FakeProxy("two", "one")
        balancer = FakeBalancer([one])
        pool = build_pool(balancer)
        await start(pool, HOUR)
        balancer.proxies.append(two)
        one.tell("one", "two")
        await pass_time(timedelta(seconds=8))
        assert pool.proxies == {"one", "two"}

    run(story)


def test_hostile_61_a_proxy_that_is_killed_loses_its_claim_and_the_other_tunnels_live_on() -> None:
    async def story() -> None:
        one, two = build_proxies("one", "two")
        balancer = FakeBalancer([one, two])
        pool = build_pool(balancer)
        await start(pool)
        kept = find(one)
        balancer.proxies.remove(two)
        two.kill()
        await pass_time(SOON)
        assert pool.proxies == {"one"}
        assert find(one) is kept
        balancer.proxies.append(two)
        await pass_time(SOON)
        assert pool.proxies == {"one", "two"}

    run(story)


def test_hostile_61_thousands_that_lose_a_proxy_come_back_one_after_another() -> None:
    async def story() -> None:
        one = FakeProxy("one")
        balancer = FakeBalancer([one])
        hosts = [f"{number:08}{HOST_ID[8:]}" for number in range(200)]
        pools = [build_pool(balancer, certificate=show_host(host), seed=number) for number, host in enumerate(hosts)]
        tasks = [asyncio.create_task(pool.run()) for pool in pools]
        await pass_time(SOON)
        assert len(one.registry) == 200
        one.dials.clear()
        lost = asyncio.get_running_loop().time()
        one.kill()
        await pass_time(SOON)
        assert len(one.registry) == len(one.dials) == 200
        a_second = [sum(second <= moment - lost < second + 1 for moment in one.dials) for second in range(10)]
        assert sum(a_second) == 200
        assert max(a_second) < 2 * 200 / SPREAD.total_seconds()
        assert len(tasks) == 200

    run(story)


def test_hostile_61_a_proxy_that_drains_says_goodbye_first_and_loses_no_stream_in_flight() -> None:
    heard: list[Heard] = []

    def serve(_: dict[str, Any], __: Stream) -> asyncio.Protocol:
        heard.append(Heard(echoes=True))
        return heard[-1]

    async def story() -> None:
        one, two = build_proxies("one", "two")
        balancer = FakeBalancer([one, two])
        pool = build_pool(balancer, handlers={"app": serve})
        await start(pool)
        asked = Heard()
        stream = await find(two).open(render_preface({"to": "app"}), lambda: asked)
        stream.write(b"half of ")
        await pass_time(timedelta(seconds=1))
        balancer.proxies.remove(two)
        two.tunnels.announce_end()
        late = Heard()
        await find(two).open(render_preface({"to": "app"}), lambda: late)
        draining = asyncio.create_task(two.tunnels.shutdown(timedelta(seconds=10)))
        await pass_time(timedelta(seconds=5))
        assert not draining.done()
        dials = balancer.dials
        stream.write(b"a request")
        stream.write_eof()
        late.transport.close()
        await pass_time(timedelta(seconds=1))
        assert draining.done()
        assert (asked.data, asked.error) == (b"half of a request", None)
        assert len(heard) == 2
        assert pool.proxies == {"one"}
        one.tell("one", "two")
        await pass_time(timedelta(seconds=5))
        assert balancer.dials == dials, "nobody dials for a proxy that has said goodbye"

    run(story)


def test_streams_that_outlast_the_grace_are_cut() -> None:
    async def story() -> None:
        (one,) = build_proxies("one")
        pool = build_pool(FakeBalancer([one]), handlers={"app": lambda _, __: Heard()})
        await start(pool)
        asked = Heard()
        await find(one).open(render_preface({"to": "app"}), lambda: asked)
        await one.tunnels.shutdown(timedelta(seconds=10))
        await pass_time(timedelta(seconds=1))
        assert asked.events[-1] == "lost"
        assert pool.proxies == set()

    run(story)


def test_a_sticky_balancer_is_reported_once_and_all_is_well_when_it_deals_in_turn() -> None:
    reports: list[str | None] = []

    async def story() -> None:
        proxies = build_proxies("one", "two")
        balancer = FakeBalancer(proxies, is_sticky=True)
        pool = build_pool(balancer, report=reports.append)
        gossip = asyncio.create_task(tell_every_minute(proxies[0], "one", "two"))
        await start(pool, timedelta(minutes=10))
        assert reports[0] is None
        assert len(reports) == 2
        assert "sticky" in str(reports[1])
        assert "1 of 2 (two)" in str(reports[1])
        dials = balancer.dials
        await pass_time(timedelta(minutes=10))
        assert balancer.dials - dials <= 20, "dials in vain become rare"
        balancer.is_sticky = False
        await pass_time(timedelta(minutes=3))
        assert pool.proxies == {"one", "two"}
        assert reports[2:] == [None]
        gossip.cancel()

    run(story)


def test_an_agent_that_reaches_no_proxy_says_why_and_goes_on() -> None:
    reports: list[str | None] = []

    async def story() -> None:
        balancer = FakeBalancer([])
        pool = build_pool(balancer, report=reports.append)
        await start(pool, timedelta(minutes=1))
        assert reports == ["no tunnel to any proxy: cannot reach proxies.example.com:443: connection refused"]
        balancer.proxies.append(FakeProxy("one"))
        await pass_time(SOON)
        assert reports[1:] == [None]

    run(story)


def test_hostile_62_two_processes_with_one_identity_are_told_apart_and_do_not_fight(
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def story() -> None:
        (one,) = build_proxies("one")
        balancer = FakeBalancer([one])
        pools = [build_pool(balancer, seed=seed) for seed in (1, 2)]
        await start(pools[0])
        await start(pools[1], HOUR)
        assert len(one.registry) == 1
        conflicts = one.count("teleport_reverse_tunnel_conflicts_total")
        assert conflicts > 0
        assert balancer.dials <= 2 * HOUR / SHUNNED_FOR + 4

    run(story)
    assert "two processes have the identity of host" in caplog.text
    assert "another process has a tunnel to proxy one with the identity of this one" in caplog.text


def test_a_process_that_is_started_again_is_no_conflict() -> None:
    async def story() -> None:
        (one,) = build_proxies("one")
        balancer = FakeBalancer([one])
        await start(build_pool(balancer))
        await start(build_pool(balancer, seed=2), timedelta(seconds=2))
        assert len(one.registry) == 1
        assert one.count("teleport_reverse_tunnel_conflicts_total") == 0

    run(story)


def test_streams_go_to_the_service_that_their_preface_names_and_others_are_refused() -> None:
    heard = Heard()

    async def story() -> None:
        (one,) = build_proxies("one")
        await start(build_pool(FakeBalancer([one]), handlers={"app": lambda _, __: heard}))
        mine, stranger = Heard(), Heard()
        stream = await find(one).open(render_preface({"to": "app"}), lambda: mine)
        stream.write(b"hello")
        await find(one).open(render_preface({"to": "shell"}), lambda: stranger)
        await pass_time(timedelta(seconds=1))
        assert heard.data == b"hello"
        assert stranger.events[-1] == "lost"
        assert "lost" not in mine.events

    run(story)


def test_the_end_of_the_pool_ends_its_tunnels() -> None:
    async def story() -> None:
        (one,) = build_proxies("one")
        task = await start(build_pool(FakeBalancer([one])))
        assert one.registry.find(HOST_ID) is not None
        assert one.registry.find(OTHER_HOST_ID) is None
        task.cancel()
        await pass_time(timedelta(seconds=1))
        assert one.registry.find(HOST_ID) is None
        assert one.count("teleport_reverse_tunnels_connected", type="app") == 0

    run(story)
