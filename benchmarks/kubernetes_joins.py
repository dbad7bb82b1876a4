"""Joins by ServiceAccount token on new connections: at an API server that answers at once, and at a real one.

Secret-token joins beside them in the same run are the peer. Cluster and load share the core that auth has not. The
real API server needs `KUBEBUILDER_ASSETS`; what it can do alone on that core is measured, too.
"""

import json
import ssl
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

import uvloop

from harness import CLUSTER_NAME, Cost, Server, auth_server, measure, pin_load, progress, report
from joins import build_joins, create_token
from pods import Cluster, admit_pods, build_pod_joins, describe_stand_in, make_up_token, real_cluster, request_tokens
from review_stand_in import running_stand_in
from support.kube_apiserver import KubeApiServer, find_programs
from teleport.resources.address import Address
from wire import Connection, ask_once, build_context, connect

WARM_UP = 300
WORKERS = 16


async def load(server: Server, requests: Sequence[bytes], warm_up: int) -> Cost:
    """Let the requests join, each on a new connection."""
    context = build_context(None)

    async def join(request: bytes) -> None:
        await ask_once(server.address, context, request)

    await measure(server.pid, requests[:warm_up], join, workers=WORKERS)
    return await measure(server.pid, requests[warm_up:], join, workers=WORKERS)


def report_joins(name: str, cost: Cost, peer: Cost | None = None) -> None:
    """Print a method's figures."""
    beside = f", x{cost.rate / peer.rate:.2f}" if peer else ""
    report(f"{name}, one core", f"{cost.rate:.0f}/s{beside}")
    beside = f", x{cost.cpu_ms / peer.cpu_ms:.2f}" if peer else ""
    report("  server CPU a join", f"{cost.cpu_ms:.2f} ms{beside}")
    report(f"  p50 and p99, {WORKERS} at once", f"{cost.quantile_ms(50):.0f} and {cost.quantile_ms(99):.0f} ms")


async def measure_cluster(name: str, cluster: Cluster, tokens: Sequence[str], warm_up: int) -> None:
    """Print what joins of both methods cost at an auth server that asks this cluster."""
    progress(f"{name}: making {len(tokens)} keys for each method")
    pods, hosts = build_pod_joins(tokens), build_joins(len(tokens))
    with auth_server(cluster.auth_service) as server:
        await admit_pods(server)
        await create_token(server)
        progress(f"{name}: joining")
        peer = await load(server, hosts, warm_up)
        cost = await load(server, pods, warm_up)
    report_joins("secret-token joins", peer)
    report_joins(f"kubernetes joins, {name}", cost, peer)


async def measure_reviews(server: KubeApiServer, cluster: Cluster, tokens: Sequence[str]) -> None:
    """Print how many reviews the API server alone makes on its core, asked as auth asks."""
    url, own = urlsplit(cluster.url), cluster.token_file.read_text()
    address = Address(str(url.hostname), url.port or 443)
    context = ssl.create_default_context(cafile=str(cluster.ca_file))
    free = [await connect(address, context) for _ in range(WORKERS)]

    async def review(token: str) -> None:
        connection = free.pop()
        status, body = await connection.ask(build_review(token, own))
        if status != 201:
            raise SystemExit(f"the API server answered {status}: {body[:200]!r}")
        free.append(connection)

    cost = await measure(server.process.pid, tokens, review, workers=WORKERS)
    report("reviews by the API server alone, on the load's core", f"{cost.rate:.0f}/s")
    close_all(free)


def close_all(connections: Sequence[Connection]) -> None:
    """Close connections."""
    for connection in connections:
        connection.close()


def build_review(token: str, own_token: str) -> bytes:
    """Return the request for a TokenReview."""
    review = {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenReview"}
    body = json.dumps({**review, "spec": {"token": token, "audiences": [CLUSTER_NAME]}}).encode()
    lines = [
        "POST /apis/authentication.k8s.io/v1/tokenreviews HTTP/1.1",
        "Host: kubernetes",
        f"Authorization: Bearer {own_token}",
        "Content-Type: application/json",
        f"Content-Length: {len(body)}",
    ]
    return "\r\n".join([*lines, "", ""]).encode() + body


async def main(count: int) -> None:
    """Print joins a second and what one costs."""
    pin_load()
    warm_up = min(WARM_UP, count)
    with tempfile.TemporaryDirectory(prefix="kubernetes-bench-") as path:
        folder = Path(path)
        with running_stand_in(folder) as stand_in:
            tokens = [make_up_token(CLUSTER_NAME) for _ in range(count + warm_up)]
            await measure_cluster("stand-in", describe_stand_in(stand_in, folder), tokens, warm_up)
        if find_programs() is None:
            report("kubernetes joins, real API server", "no etcd and kube-apiserver")
            return
        with real_cluster(folder) as (server, cluster):
            progress(f"real API server: making {2 * count + warm_up} pods and their tokens")
            tokens = await request_tokens(server, 2 * count + warm_up)
            await measure_reviews(server, cluster, tokens[:count])
            await measure_cluster("real API server", cluster, tokens[count:], warm_up)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 3000))
