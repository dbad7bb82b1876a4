"""Thousands of objects created at once, and the operator started anew over them: how long, at what cost, writing what.

API server, etcd, auth, operator and load share two cores. The real API server needs `KUBEBUILDER_ASSETS`.
"""

import asyncio
import os
import sys
import tempfile
import time
from itertools import count as count_up
from pathlib import Path

import uvloop

from harness import CORES, progress, report, rss_mib
from operator_stage import CONNECTIONS, Stage, open_stage, running_processes
from support.kube_apiserver import find_programs
from support.operator_cluster import Document, Operator, build_manifest

PATIENCE = 900.0
PERIOD = 0.5
"""Seconds between two looks at how far it is."""
CALM = 70.0
"""Seconds for which a restarted operator is watched after all looks: once a minute it lists all objects."""
EVENTS = "POST events"
SPEC = {"roles": ["App"], "join_method": "kubernetes", "kubernetes": {"allow": [{"service_account": "apps:web"}]}}


def read_peak_mib(pid: int) -> float:
    """Return the most memory that a process has had."""
    lines = Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines()
    return int(next(line for line in lines if line.startswith("VmHWM")).split()[1]) / 1024


def is_ready(raw: Document) -> bool:
    """Tell whether an object says that it is."""
    conditions = raw.get("status", {}).get("conditions", [])
    return any(each["type"] == "Ready" and each["status"] == "True" for each in conditions)


async def create_objects(stage: Stage, count: int) -> float:
    """Create so many objects, many at a time; return the moment when the last one was there."""
    manifests = iter([build_manifest(f"web-{number:05}", SPEC) for number in range(count)])

    async def work() -> None:
        for manifest in manifests:
            await stage.create_object(manifest)

    await asyncio.gather(*(work() for _ in range(CONNECTIONS)))
    return time.monotonic()


async def wait_for_count(stage: Stage, metric: str, count: int) -> None:
    """Wait until the operator has counted so far."""
    for turn in count_up(1):
        counted = await asyncio.to_thread(stage.read_metric, metric)
        if counted >= count:
            return
        if not stage.operator.process.is_alive():
            raise SystemExit(f"{metric} came to {counted} of {count}:\n{stage.operator.process.log[-2000:]}")
        if turn % 20 == 0:
            progress(f"{counted:.0f} of {count}")
        await asyncio.sleep(PERIOD)


async def wait_until_ready(stage: Stage, count: int) -> float:
    """Wait until all objects say that they are Ready, and return the moment; they are listed when that may be so."""
    await wait_for_count(stage, "teleport_token_status_writes_total", count)
    while True:
        if all(map(is_ready, await stage.list_objects())):
            return time.monotonic()
        await asyncio.sleep(PERIOD)


async def wait_for_quiet(stage: Stage) -> None:
    """Wait until no object waits for a look."""
    while True:
        await asyncio.sleep(PERIOD)
        if not await asyncio.to_thread(stage.read_metric, "workqueue_depth"):
            return


async def wait_for_events(stage: Stage, count: int) -> None:
    """Wait until so many Events are written; they come when nothing else is to be done."""
    while True:
        if (await stage.count_writes())[EVENTS] >= count:
            return
        await asyncio.sleep(4 * PERIOD)


async def measure_creation(stage: Stage, count: int) -> None:
    """Print what it takes until all objects are Ready."""
    before, cpu = rss_mib(stage.pid), stage.read_cpu()
    writes, changes = await stage.count_writes(), stage.count_changes()
    begun = time.monotonic()
    created, ready = await asyncio.gather(create_objects(stage, count), wait_until_ready(stage, count))
    spent = {name: seconds - cpu[name] for name, seconds in stage.read_cpu().items()}
    report(f"{count} objects created at once: all Ready", f"{ready - begun:.1f} s")
    report("  the last one was created after", f"{created - begun:.1f} s")
    report("  processor time of all processes", f"{sum(spent.values()):.1f} s")
    for name, seconds in spent.items():
        report(f"    {name}, a token", f"{seconds / count * 1000:.2f} ms")
    await wait_for_events(stage, writes[EVENTS] + count)
    report("  an Event told of each after", f"{time.monotonic() - begun:.1f} s")
    memory = (before, read_peak_mib(stage.pid), rss_mib(stage.pid))
    report("  memory of the operator before, at most, after", "{:.0f}, {:.0f}, {:.0f} MiB".format(*memory))
    for name, number in sorted((await stage.count_writes() - writes).items()):
        report(f"  {name}", f"{number / count:.2f} a token")
    report("  changes of tokens in auth's audit log", f"{(stage.count_changes() - changes) / count:.2f} a token")


async def measure_restart(stage: Stage, count: int) -> None:
    """Print what an operator does that finds everything as it should be."""
    stage.operator.process.stop()
    versions, writes, changes = await stage.list_versions(), await stage.count_writes(), stage.count_changes()
    begun = time.monotonic()
    stage.operator.start()
    await wait_for_count(stage, "controller_runtime_reconcile_total", count)
    await wait_for_quiet(stage)
    report("restart over them: all looked at", f"{time.monotonic() - begun:.1f} s")
    report("  processor time of the operator", f"{stage.read_cpu()['the operator']:.1f} s")
    progress("watching what it writes")
    await asyncio.sleep(min(CALM, count / 50))
    memory = (read_peak_mib(stage.pid), rss_mib(stage.pid))
    report("  memory of the operator at most, after", "{:.0f}, {:.0f} MiB".format(*memory))
    present = await stage.list_versions()
    report("  objects whose resource version changed", f"{len(versions.items() ^ present.items())}")
    report("  writes in Kubernetes other than of the Lease", f"{(await stage.count_writes() - writes).total()}")
    report("  changes of tokens in auth's audit log", f"{stage.count_changes() - changes}")


async def measure(operator: Operator, count: int) -> None:
    """Print how it takes thousands of objects, and how it starts anew."""
    operator.start()
    async with open_stage(operator) as stage, asyncio.timeout(PATIENCE):
        progress(f"creating {count} objects")
        await measure_creation(stage, count)
        progress("starting the operator anew")
        await measure_restart(stage, count)


def main(count: int) -> None:
    """Run everything on two cores."""
    if find_programs() is None:
        report(f"{count} objects created at once", "no etcd and kube-apiserver")
        return
    os.sched_setaffinity(0, set(CORES[:2]))
    with tempfile.TemporaryDirectory(prefix="operator-bench-") as path, running_processes(Path(path)) as operator:
        uvloop.run(measure(operator, count))


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 5000)
