"""What forged tokens cost the true ones: joins by ServiceAccount token, alone and with as many forged ones beside them.

The forged tokens come from other addresses, under the limits that an auth server has by default: an address may be
refused 40 times at once, and 20 times a minute then. So the beginning, when they have those, is shown apart.
"""

import asyncio
import sys
import tempfile
from collections import Counter
from collections.abc import Sequence
from itertools import islice
from pathlib import Path

import uvloop

from harness import CLUSTER_NAME, Cost, Server, auth_server, measure, pin_load, progress, report
from pods import admit_pods, build_pod_joins, describe_stand_in, forge, make_up_token
from review_stand_in import running_stand_in
from wire import ask_once, build_context, connect

WARM_UP = 300
WORKERS = 16
FORGERS = 16
"""Addresses that forged tokens come from."""
MAX_FORGING = 64
_CUT = "cut before the handshake"


class Forgers:
    """Send forged tokens in turn from each of their addresses, and count what becomes of them."""

    def __init__(self, server: Server, requests: Sequence[bytes]) -> None:
        self._server = server
        self._requests = iter(requests)
        self._context = build_context(None)
        self._tasks: set[asyncio.Task[None]] = set()
        self.outcomes: Counter[str] = Counter()
        self._sent = 0

    def send(self) -> None:
        """Send one more, unless the answers to too many are still out."""
        if len(self._tasks) >= MAX_FORGING:
            return
        self._sent += 1
        source = f"127.1.0.{self._sent % FORGERS + 1}"
        task = asyncio.create_task(self._ask(source, next(self._requests)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def wait(self) -> None:
        """Return when all have their answers."""
        await asyncio.gather(*self._tasks)

    async def _ask(self, source: str, request: bytes) -> None:
        try:
            connection = await connect(self._server.address, self._context, source)
            status, _ = await connection.ask(request)
            connection.close()
        except (OSError, asyncio.IncompleteReadError):
            self.outcomes[_CUT] += 1
        else:
            self.outcomes[str(status)] += 1


async def load(server: Server, requests: Sequence[bytes], forgers: Forgers | None = None) -> Cost:
    """Let the requests join, and the forgers send one token for each."""
    context = build_context(None)

    async def join(request: bytes) -> None:
        if forgers is not None:
            forgers.send()
        await ask_once(server.address, context, request)

    return await measure(server.pid, requests, join, workers=WORKERS)


async def main(count: int) -> None:
    """Print the rate of the true ones, alone and beside the forged ones."""
    pin_load()
    warm_up = min(WARM_UP, count)
    progress(f"making {3 * count + warm_up} keys for pods, and {2 * count} for forgers")
    pods = iter(build_pod_joins([make_up_token(CLUSTER_NAME) for _ in range(3 * count + warm_up)]))
    forged = build_pod_joins([forge(make_up_token(CLUSTER_NAME)) for _ in range(2 * count)])
    with (
        tempfile.TemporaryDirectory(prefix="forged-bench-") as path,
        running_stand_in(Path(path)) as stand_in,
        auth_server(describe_stand_in(stand_in, Path(path)).auth_service, limits={}) as server,
    ):
        await admit_pods(server)
        progress("joining")
        await load(server, list(islice(pods, warm_up)))
        alone = await load(server, list(islice(pods, count)))
        forgers = Forgers(server, forged)
        beginning = await load(server, list(islice(pods, count)), forgers)
        later = await load(server, list(islice(pods, count)), forgers)
        await forgers.wait()
    report("kubernetes joins, one core", f"{alone.rate:.0f}/s")
    report("  server CPU a join", f"{alone.cpu_ms:.2f} ms")
    for name, cost in (("at first", beginning), ("later", later)):
        report(f"  beside as many forged ones, {name}", f"{cost.rate:.0f}/s, x{cost.rate / alone.rate:.2f}")
        beside = f"{cost.cpu_ms:.2f} ms, x{cost.cpu_ms / alone.cpu_ms:.2f}"
        report("  server CPU a true join, forged ones included", beside)
    for outcome, number in forgers.outcomes.most_common():
        report(f"  forged ones: {outcome}", f"{number}")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 1500))
