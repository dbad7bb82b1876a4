"""API requests and heartbeats over connections that stay open, each with a client certificate."""

import sys

import uvloop

from harness import Server, auth_server, measure, report
from joins import TOKEN, create_token
from teleport.api.client import open_client
from teleport.api.joined import Joined, build_joined, generate_keys
from teleport.api.messages import HeartbeatRequest, JoinRequest, TrustBundleRequest
from teleport.api.operations import HEARTBEAT, JOIN, TRUST_BUNDLE
from teleport.api.trust import PinnedConnection
from teleport.resources.role import SystemRole
from teleport.version import VERSION
from wire import Connection, build_context, build_request, connect

CONNECTIONS = 32


async def join(server: Server) -> Joined:
    """Join one host."""
    keys = generate_keys()
    request = JoinRequest(token_name=TOKEN, node_name="bench", keys=keys.build_public_keys("bench"))
    async with open_client(server.address, PinnedConnection(())) as client:
        return build_joined(keys, await client.call(JOIN, request))


async def main(count: int) -> None:
    """Print requests and heartbeats a second."""
    with auth_server() as server:
        await create_token(server)
        joined = await join(server)
        context = build_context(joined.identity(SystemRole.INSTANCE))
        connections = [await connect(server.address, context) for _ in range(CONNECTIONS)]
        known = TrustBundleRequest(known_revision=joined.trust.revision)
        poll = build_request(TRUST_BUNDLE, known.model_dump_json().encode())
        node = {
            "kind": "node",
            "version": "v2",
            "metadata": {"labels": {"env": "bench"}},
            "spec": {"hostname": "bench"},
        }
        beat = HeartbeatRequest(hostname="bench", version=VERSION, servers=(node,))
        heartbeat = build_request(HEARTBEAT, beat.model_dump_json().encode())
        for name, request in (("keep-alive API requests", poll), ("heartbeats", heartbeat)):
            free = list(connections)

            async def ask(request: bytes, free: list[Connection] = free) -> None:
                connection = free.pop()
                status, body = await connection.ask(request)
                if status != 200:
                    raise SystemExit(f"the server answered {status}: {body[:200]!r}")
                free.append(connection)

            await measure(server.pid, [request] * 500, ask, workers=CONNECTIONS)
            cost = await measure(server.pid, [request] * count, ask, workers=CONNECTIONS)
            report(f"{name}, one core", f"{cost.rate:.0f}/s")
            report("  server CPU each", f"{cost.cpu_ms * 1000:.0f} us")
        for connection in connections:
            connection.close()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000))
