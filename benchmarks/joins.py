"""Secret-token joins on new connections: handshake, X.509 and SSH certificates, durable commit and audit included."""

import sys

import uvloop

from harness import Server, auth_server, measure, report
from teleport.api.client import connect
from teleport.api.joined import generate_keys
from teleport.api.messages import JoinRequest, ResourceRequest
from teleport.api.operations import JOIN, RESOURCE_CREATE
from wire import ask_once, build_context, build_request

TOKEN = "benchmark-token-of-32-characters"  # noqa: S105 - lets nobody in anywhere else
WARM_UP = 300
WORKERS = 16


def build_joins(count: int, token: str = TOKEN) -> list[bytes]:
    """Return join requests, each with keys of its own."""
    requests = []
    for number in range(count):
        name = f"node-{number}"
        request = JoinRequest(token_name=token, node_name=name, keys=generate_keys().build_public_keys(name))
        requests.append(build_request(JOIN, request.model_dump_json(exclude_defaults=True).encode()))
    return requests


async def create_token(server: Server, name: str = TOKEN, **metadata: str) -> None:
    """Make the token that the load joins with."""
    token = {"kind": "token", "metadata": {"name": name, **metadata}, "spec": {"roles": ["Node"]}}
    async with connect(server.address, server.admin) as client:
        await client.call(RESOURCE_CREATE, ResourceRequest(resource=token))


async def main(count: int) -> None:
    """Print joins a second and what one costs."""
    with auth_server() as server:
        await create_token(server)
        requests, context = build_joins(count + WARM_UP), build_context(None)

        async def join(request: bytes) -> None:
            await ask_once(server.address, context, request)

        await measure(server.pid, requests[:WARM_UP], join, workers=WORKERS)
        cost = await measure(server.pid, requests[WARM_UP:], join, workers=WORKERS)
    report("secret-token joins, one core", f"{cost.rate:.0f}/s")
    report("  server CPU a join", f"{cost.cpu_ms:.2f} ms")


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 4000))
